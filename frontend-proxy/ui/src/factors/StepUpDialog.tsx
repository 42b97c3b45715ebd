import { Dialog } from "react-aria-components/Dialog";
import { Heading } from "react-aria-components/Heading";
import { Modal, ModalOverlay } from "react-aria-components/Modal";
import { useLocation, useNavigate } from "react-router";

import { address, post } from "../api/http";
import { useProviders } from "../api/me";
import type { ApiProblem } from "../api/problem";
import type { Proof } from "../api/types";
import { Button } from "../kit/Button";
import { useFocusBack } from "../kit/Drawer";
import { ProviderMark } from "../kit/ProviderMark";
import { RowsWaiting, Loaded } from "../kit/Waiting";
import { useIdentities } from "../sessions/queries";
import { ProofForm } from "./ProofForm";
import "../kit/drawer.css";
import "./factors.css";

interface Props {
  problem: ApiProblem;
  /** Whether it was shown. */
  onEnd: (shown: boolean) => void;
}

/** "Show that it is you": what was asked for goes on behind it, or the refusal stands. */
export function StepUpDialog({ problem, onEnd }: Props) {
  useFocusBack();
  const cancel = () => onEnd(false);
  return (
    <ModalOverlay className="scrim" isOpen isDismissable={false} onOpenChange={(open) => !open && cancel()}>
      <Modal className="alert">
        <Dialog className="alert-dialog">
          <Heading slot="title" className="alert-title">
            Show that it is you
          </Heading>
          {problem.next === "enrol" ? (
            <Enrol onCancel={cancel} />
          ) : problem.next === "sign_in" ? (
            <SignInAgain onCancel={cancel} />
          ) : (
            <Prove problem={problem} onEnd={onEnd} />
          )}
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

function Prove({ problem, onEnd }: Props) {
  async function show(proof: Proof): Promise<void> {
    await post("/auth/reauthenticate", proof);
    onEnd(true);
  }
  return (
    <>
      <p className="muted small">What you are about to do matters, so Keybearer asks again. For 15 minutes it does not ask any more.</p>
      <ProofForm ways={problem.factors} verb="Continue" show={show}>
        <Button onPress={() => onEnd(false)}>Cancel</Button>
      </ProofForm>
    </>
  );
}

function Enrol({ onCancel }: { onCancel: () => void }) {
  const navigate = useNavigate();
  return (
    <>
      <p>
        <strong>This needs a second factor, and you have none yet.</strong> Add an authenticator app or a passkey, then do this again. Nothing
        was changed.
      </p>
      <div className="alert-actions">
        <Button onPress={onCancel}>Cancel</Button>
        <Button
          look="primary"
          onPress={() => {
            onCancel();
            void navigate("/account");
          }}
        >
          Go to Account
        </Button>
      </div>
    </>
  );
}

/** With a first factor there is none to ask for, so the provider is asked who this is. */
function SignInAgain({ onCancel }: { onCancel: () => void }) {
  const identities = useIdentities();
  const providers = useProviders().data?.items ?? [];
  const { pathname, search } = useLocation();
  return (
    <>
      <p>
        <strong>You have no factor yet that you could show.</strong> Sign in once more first; you come back to where you are now.
      </p>
      <Loaded query={identities} waiting={<RowsWaiting what="ways to sign in" rows={1} />}>
        {({ items }) => (
          <ul className="stack">
            {items
              .filter(({ provider }) => providers.some(({ name, sign_in, configured }) => name === provider && sign_in && configured))
              .map(({ id, provider, title, icon }) => (
                <li key={id} className="stack">
                  <Button
                    size="large"
                    icon={<ProviderMark icon={icon} title={title} />}
                    onPress={() =>
                      window.location.assign(address(`/auth/${provider}/start`, { fresh: true, return_to: pathname + search }))
                    }
                  >
                    Sign in again with {title}
                  </Button>
                </li>
              ))}
          </ul>
        )}
      </Loaded>
      <p className="fine muted">
        If you are asked this again afterwards, that provider does not confirm when you signed in. Link one that does, such as Google.
      </p>
      <div className="alert-actions">
        <Button onPress={onCancel}>Cancel</Button>
      </div>
    </>
  );
}
