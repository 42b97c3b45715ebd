import { KeyRound } from "lucide-react";

import type { CreatedGrant } from "../api/types";
import { Button } from "../kit/Button";
import { Drawer } from "../kit/Drawer";
import { Note } from "../kit/ProblemNote";
import { Secret } from "../kit/Secret";
import { Left } from "../kit/Times";
import { demoCommand } from "./command";
import { GrantMarks } from "./GrantRow";

/** The one time that a grant is seen. */
export function GrantSecret({ created, onClose }: { created: CreatedGrant; onClose: () => void }) {
  const { agent, grant, connections, expires_at: expires } = created;
  const command = demoCommand(window.location.origin, grant);
  return (
    <Drawer
      title={`Grant for ${agent}`}
      mark={<KeyRound className="icon" aria-hidden />}
      onClose={onClose}
      sticky
      foot={
        <Button look="primary" onPress={onClose}>
          Done, I have copied it
        </Button>
      }
    >
      <Note tone="amber">
        <strong>Copy it now: it will not be shown again.</strong> Keybearer keeps only a fingerprint of it.
      </Note>
      <Secret label="Grant" text={grant} what="the grant" testId="grant-secret" />
      <Secret label="Try it: run this where keybearer_agent is installed" text={command} what="the command" testId="grant-command" />
      <dl className="facts">
        <dt>Can act through</dt>
        <dd>
          <GrantMarks connections={connections} />
        </dd>
        <dt>Ends</dt>
        <dd>
          <Left kind="grant" expires={expires} />
        </dd>
      </dl>
      <p className="small muted">Its calls appear in Activity as they happen. You can revoke it under Agents at any time.</p>
    </Drawer>
  );
}
