import { useState, type SyntheticEvent } from "react";
import { useSearchParams } from "react-router";

import type { Connection, GrantRequest } from "../api/types";
import { stateWords } from "../connections/states";
import { Button } from "../kit/Button";
import { Check, Segments, TextField } from "../kit/Fields";
import { ProblemNote } from "../kit/ProblemNote";
import { ProviderMark } from "../kit/ProviderMark";
import { State } from "../kit/State";
import { lifetimes, type LifetimeChoice } from "./command";
import type { useCreateGrant } from "./queries";

interface Props {
  connections: Connection[];
  create: ReturnType<typeof useCreateGrant>;
}

export function GrantForm({ connections, create }: Props) {
  const [agent, setAgent] = useState("");
  const [reason, setReason] = useState("");
  const [lifetime, setLifetime] = useState<LifetimeChoice>("3600");
  const [picked, setPicked] = useState(usePreset(connections));
  const [limit, setLimit] = useState<readonly string[] | null>(null);
  const reachable = [...new Set(connections.filter(({ id }) => picked.includes(id)).flatMap(({ scopes }) => scopes))];
  const kept = limit?.filter((scope) => reachable.includes(scope));

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    const request: GrantRequest = { agent: agent.trim(), connections: [...picked], ttl_seconds: Number(lifetime) };
    if (reason.trim() !== "") request.reason = reason.trim();
    if (kept !== undefined) request.scopes = kept;
    create.mutate(request);
  }

  const complete = agent.trim() !== "" && picked.length > 0 && kept?.length !== 0;
  return (
    <form className="form" onSubmit={submit}>
      <TextField
        label="Agent name"
        hint="How it appears in Activity. Any name you will recognise."
        placeholder="demo"
        maxLength={64}
        required
        value={agent}
        onChange={setAgent}
      />
      <fieldset className="field">
        <legend>Can act through</legend>
        <div className="checks">
          {connections.map((connection) => (
            <Pick key={connection.id} connection={connection} picked={picked} onPick={setPicked} />
          ))}
        </div>
      </fieldset>
      <Segments legend="Ends by itself after" value={lifetime} options={lifetimes} onChange={setLifetime} />
      {reachable.length > 0 && (
        <div>
          <Check checked={limit !== null} onChange={(yes) => setLimit(yes ? reachable : null)}>
            <span className="scope-words">
              Limit it to some scopes
              <span className="faint">Otherwise it can do all that these connections allow.</span>
            </span>
          </Check>
          {kept !== undefined && <ScopeChecks scopes={reachable} kept={kept} onChange={setLimit} />}
        </div>
      )}
      <TextField label="Reason" optional hint="For whoever reads the activity later." maxLength={500} value={reason} onChange={setReason} />
      {create.error && <ProblemNote error={create.error} />}
      <Button type="submit" look="primary" isDisabled={!complete} isPending={create.isPending}>
        Create grant
      </Button>
    </form>
  );
}

interface PickProps {
  connection: Connection;
  picked: readonly string[];
  onPick: (picked: string[]) => void;
}

function Pick({ connection: { id, icon, title, account, state }, picked, onPick }: PickProps) {
  return (
    <Check
      checked={picked.includes(id)}
      disabled={state === "needs_reconnect"}
      onChange={(yes) => onPick(yes ? [...picked, id] : picked.filter((other) => other !== id))}
    >
      <span className="check-line small">
        <ProviderMark icon={icon} title={title} />
        <span>
          {title} <span className="muted">{account}</span>
        </span>
        {state !== "active" && (
          <span className="end">
            <State tone={stateWords(state).tone}>{stateWords(state).word}</State>
          </span>
        )}
      </span>
    </Check>
  );
}

function ScopeChecks({ scopes, kept, onChange }: { scopes: string[]; kept: readonly string[]; onChange: (kept: string[]) => void }) {
  return (
    <div className="checks" role="group" aria-label="Scopes of the grant">
      {scopes.map((scope) => (
        <Check
          key={scope}
          checked={kept.includes(scope)}
          onChange={(yes) => onChange(yes ? [...kept, scope] : kept.filter((other) => other !== scope))}
        >
          <code>{scope}</code>
        </Check>
      ))}
    </div>
  );
}

/** The connection that the address names, or the only one there is. */
function usePreset(connections: Connection[]): string[] {
  const [search] = useSearchParams();
  const usable = connections.filter(({ state }) => state !== "needs_reconnect").map(({ id }) => id);
  const named = search.get("connection");
  if (named !== null && usable.includes(named)) return [named];
  return usable.length === 1 ? usable : [];
}
