import { Check } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useNavigate } from "react-router";

import type { LedgerEntry } from "../api/types";
import { demoCommand } from "../grants/command";
import { useGrants } from "../grants/queries";
import { Button } from "../kit/Button";
import { Ago } from "../kit/Times";
import { EntryWords } from "../ledger/EntryWords";
import { useLatestCall } from "../ledger/queries";
import { useConnections } from "./queries";
import "./connections.css";

/**
 * The first visit: four steps that tick themselves. It is there until an agent's first call is in the ledger, and stays
 * on the page on which that happened, so that the last tick is seen.
 */
export function Tutorial() {
  const [watching, setWatching] = useState(false);
  const connections = useConnections();
  const grants = useGrants();
  const latest = useLatestCall(true);
  if (!connections.isSuccess || !grants.isSuccess || !latest.isSuccess) return null;
  const call = latest.data.items[0];
  if (call === undefined && !watching) setWatching(true);
  if (call !== undefined && !watching) return null;
  const connected = connections.data.items.find(({ state }) => state !== "revoked");
  const granted = call !== undefined || grants.data.items.length > 0;
  const used = call !== undefined || grants.data.items.some((grant) => grant.last_used_at !== null);
  return (
    <Steps
      connection={connected && { id: connected.id, title: connected.title }}
      granted={granted}
      used={used}
      call={call}
      onDismiss={() => setWatching(false)}
    />
  );
}

interface StepsProps {
  connection: { id: string; title: string } | undefined;
  granted: boolean;
  used: boolean;
  call: LedgerEntry | undefined;
  onDismiss: () => void;
}

function Steps({ connection, granted, used, call, onDismiss }: StepsProps) {
  const navigate = useNavigate();
  const done = [connection !== undefined, granted, used, call !== undefined];
  const current = done.indexOf(false);
  const progress = (place: number) => ({ place, done: done[place] ?? false, current: place === current });
  return (
    <section className="card steps" aria-labelledby="steps-title">
      <div className="steps-head">
        <h2 id="steps-title">{current === -1 ? "That is the whole of it" : "Let an agent play a song"}</h2>
        {current === -1 ? (
          <Button size="small" look="quiet" onPress={onDismiss}>
            Hide these steps
          </Button>
        ) : (
          <span className="small muted figures">{done.filter(Boolean).length} of 4</span>
        )}
      </div>
      <ol>
        <Step {...progress(0)} title={connection ? `${connection.title} is connected` : "Connect Spotify"}>
          {connection === undefined && (
            <>
              <p>Keybearer keeps the key that Spotify gives, sealed. No agent ever sees it.</p>
              <Button look="primary" size="small" onPress={() => void navigate("/connections/connect/spotify")}>
                Choose what to allow
              </Button>
            </>
          )}
        </Step>
        <Step {...progress(1)} title="Create a grant">
          {!granted && <p>It lets one agent act through {connection?.title ?? "Spotify"}, for an hour or as long as you say.</p>}
          {connection !== undefined && !granted && (
            <Button look="primary" size="small" onPress={() => void navigate(`/agents/new?connection=${connection.id}`)}>
              Create a grant
            </Button>
          )}
        </Step>
        <Step {...progress(2)} title="Run the command">
          {!granted && (
            <p>
              <code>python -m keybearer_agent.demo "Play Despacito"</code>, in any terminal.
            </p>
          )}
          {granted && !used && (
            <>
              <p>It was shown with the grant, which is never shown again. If you have lost it, create another.</p>
              <code className="step-command">{demoCommand(window.location.origin, "kbg_…")}</code>
            </>
          )}
        </Step>
        <Step {...progress(3)} title="Watch it appear in Activity">
          {call !== undefined ? (
            <p>
              <EntryWords entry={call} /> · <Ago at={call.at} />
            </p>
          ) : (
            <p>{used ? "Waiting for the first call that goes through." : "Each call is a sentence there, seconds after it was made."}</p>
          )}
        </Step>
      </ol>
    </section>
  );
}

interface StepProps {
  place: number;
  done: boolean;
  current: boolean;
  title: string;
  children: ReactNode;
}

function Step({ place, done, current, title, children }: StepProps) {
  return (
    <li className={done ? "step done" : current ? "step current" : "step"} aria-current={current ? "step" : undefined}>
      <span className="step-sign">
        {done ? <Check className="icon" aria-hidden /> : <span aria-hidden>{place + 1}</span>}
        {done && <span className="visually-hidden">Done:</span>}
      </span>
      <div className="step-main">
        <h3>{title}</h3>
        {children}
      </div>
    </li>
  );
}
