import { useState, type ReactNode } from "react";
import { Dialog } from "react-aria-components/Dialog";
import { Heading } from "react-aria-components/Heading";
import { Modal, ModalOverlay } from "react-aria-components/Modal";

import { Button } from "./Button";
import { ProblemNote } from "./ProblemNote";

interface Props {
  /** The verb and its object, "Disconnect Spotify": on the button here and on the one that does it. */
  verb: string;
  question: string;
  /** What stops working. */
  children: ReactNode;
  keep?: string;
  ready?: boolean;
  pending: boolean;
  error: Error | null;
  onConfirm: () => void;
  onOpen?: () => void;
  label?: string;
  size?: "small";
  icon?: ReactNode;
}

/** A destructive act: the button, and the dialog that says what will stop working before it does. */
export function Confirm(props: Props) {
  const { verb, question, children, keep = "Keep it", ready = true, pending, error, onConfirm } = props;
  const [open, setOpen] = useState(false);
  function change(next: boolean): void {
    if (next) props.onOpen?.();
    setOpen(next);
  }
  return (
    <>
      <Button
        look={props.size === "small" ? "row-danger" : "danger-quiet"}
        {...(props.size && { size: props.size })}
        icon={props.icon}
        aria-label={verb}
        onPress={() => change(true)}
      >
        {props.label ?? verb}
      </Button>
      <ModalOverlay className="scrim" isOpen={open} isDismissable={!pending} onOpenChange={change}>
        <Modal className="alert">
          <Dialog role="alertdialog" className="alert-dialog">
            <Heading slot="title" className="alert-title">
              {question}
            </Heading>
            {children}
            {error && <ProblemNote error={error} />}
            <div className="alert-actions">
              <Button onPress={() => change(false)} isDisabled={pending}>
                {keep}
              </Button>
              <Button look="danger" isPending={pending} isDisabled={!ready} onPress={onConfirm}>
                {verb}
              </Button>
            </div>
          </Dialog>
        </Modal>
      </ModalOverlay>
    </>
  );
}
