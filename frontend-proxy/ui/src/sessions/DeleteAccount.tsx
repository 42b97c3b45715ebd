import { useState } from "react";

import type { Me } from "../api/types";
import { useConnections } from "../connections/queries";
import { useGrants } from "../grants/queries";
import { Confirm } from "../kit/Confirm";
import { TextField } from "../kit/Fields";
import { count } from "../kit/words";
import { useDeleteAccount } from "./queries";

export function DeleteAccount({ me }: { me: Me }) {
  const expected = me.email ?? me.name;
  const [typed, setTyped] = useState("");
  const erase = useDeleteAccount();
  const connections = useConnections().data?.items.length ?? 0;
  const grants = useGrants().data?.items.length ?? 0;
  return (
    <section className="section" aria-labelledby="delete-title">
      <h2 id="delete-title">Delete account</h2>
      <div className="card setting">
        <p className="small muted">
          Destroys the key that seals everything you keep here, so that no copy of it can be opened again. It cannot be undone.
        </p>
        <Confirm
          verb="Delete account"
          question="Delete your account?"
          keep="Keep my account"
          ready={typed.trim() === expected}
          pending={erase.isPending || erase.isSuccess}
          error={erase.error}
          onOpen={() => {
            setTyped("");
            erase.reset();
          }}
          onConfirm={() => erase.mutate(typed.trim())}
        >
          <p>
            <strong>This cannot be undone.</strong> What ends now:
          </p>
          <ul className="losses">
            <li>{count(connections, "connection")}: access revoked where the provider can, tokens destroyed</li>
            <li>{count(grants, "grant")}: every agent is refused from its next call on</li>
            <li>your profile, your ways to sign in and all sessions, this one too</li>
          </ul>
          <p className="small muted">The ledger keeps that something happened, without who you were, so that it still verifies.</p>
          <TextField label={`Type ${expected} to confirm`} value={typed} onChange={setTyped} />
        </Confirm>
      </div>
    </section>
  );
}
