import { X } from "lucide-react";
import { useEffect, useState, type ReactNode } from "react";
import { Dialog } from "react-aria-components/Dialog";
import { Heading } from "react-aria-components/Heading";
import { Modal, ModalOverlay } from "react-aria-components/Modal";

import { Button } from "./Button";
import "./drawer.css";

interface Props {
  title: ReactNode;
  mark?: ReactNode;
  onClose: () => void;
  /** A drawer that holds what cannot be shown again closes by its buttons only. */
  sticky?: boolean;
  foot?: ReactNode;
  children: ReactNode;
}

/** What a row says when it is opened. It has an address of its own, so closing it is going back to the list. */
export function Drawer({ title, mark, onClose, sticky = false, foot, children }: Props) {
  useFocusBack();
  return (
    <ModalOverlay
      className="scrim"
      isOpen
      isDismissable={!sticky}
      isKeyboardDismissDisabled={sticky}
      onOpenChange={(open) => !open && onClose()}
    >
      <Modal className="drawer">
        <Dialog className="drawer-dialog">
          <header className="drawer-head">
            {mark}
            <Heading slot="title" className="drawer-title">
              {title}
            </Heading>
            <Button look="quiet" aria-label="Close" icon={<X className="icon" aria-hidden />} onPress={onClose} />
          </header>
          <div className="drawer-body">{children}</div>
          {foot !== undefined && <footer className="drawer-foot">{foot}</footer>}
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

/** A drawer goes with its address, all at once; the keyboard then continues at the row that opened it. */
export function useFocusBack(): void {
  const [opener] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      window.requestAnimationFrame(() => {
        if (document.activeElement !== document.body) return;
        if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
      });
    },
    [opener],
  );
}
