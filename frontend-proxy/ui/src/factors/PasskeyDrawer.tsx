import { KeyRound } from "lucide-react";
import { useState, type SyntheticEvent } from "react";
import { useNavigate } from "react-router";

import { passkeysPossible } from "../api/webauthn";
import { Button } from "../kit/Button";
import { Drawer } from "../kit/Drawer";
import { TextField } from "../kit/Fields";
import { Note, ProblemNote } from "../kit/ProblemNote";
import { CodesShown } from "./CodesShown";
import { useAddPasskey } from "./queries";

export function PasskeyDrawer() {
  const navigate = useNavigate();
  const add = useAddPasskey();
  const [name, setName] = useState("");
  const close = () => void navigate("/account");

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    add.mutate(name.trim(), { onSuccess: ({ recovery_codes: codes }) => codes ?? close() });
  }

  if (add.data?.recovery_codes) {
    return <CodesShown codes={add.data.recovery_codes} after={`${add.data.name} is a passkey of yours now.`} onClose={close} />;
  }
  return (
    <Drawer title="Add a passkey" mark={<KeyRound className="icon" aria-hidden />} onClose={close}>
      {passkeysPossible() ? (
        <form className="form" onSubmit={submit}>
          <p className="muted">
            A passkey signs you in with your finger, face or PIN, and nothing else. Your device, password manager or security key keeps it;
            Keybearer cannot read it, and no other site can ask for it.
          </p>
          <TextField
            label="Name"
            optional
            hint="So that you know it again in the list. Without one it is called after this browser."
            maxLength={64}
            value={name}
            first
            onChange={setName}
          />
          {add.error && <Told error={add.error} />}
          <div className="proof-actions">
            <Button type="submit" look="primary" isPending={add.isPending}>
              Create the passkey
            </Button>
          </div>
        </form>
      ) : (
        <Note tone="amber">This browser offers no passkeys at this address. They need https, and a browser of the last years.</Note>
      )}
    </Drawer>
  );
}

function Told({ error }: { error: Error }) {
  if (!(error instanceof DOMException)) return <ProblemNote error={error} />;
  // InvalidStateError: the authenticator holds one of those that the API named.
  const there = error.name === "InvalidStateError";
  return (
    <Note tone="amber">
      {there ? "This device has a passkey for your account already. Nothing was changed." : "No passkey was made. Nothing was changed. Try again, or use another device."}
    </Note>
  );
}
