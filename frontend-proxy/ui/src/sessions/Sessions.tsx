import { Laptop, Smartphone } from "lucide-react";
import { useState } from "react";

import { useProviders } from "../api/me";
import type { Session } from "../api/types";
import { Check } from "../kit/Fields";
import { Confirm } from "../kit/Confirm";
import { State } from "../kit/State";
import { Ago } from "../kit/Times";
import { count } from "../kit/words";
import { Loaded, RowsWaiting } from "../kit/Waiting";
import { providerTitle, wayWords } from "../signin/providerTitle";
import { useEndOtherSessions, useEndSession, useSessions } from "./queries";

export function Sessions() {
  const query = useSessions();
  const others = query.data?.items.filter(({ current }) => !current).length ?? 0;
  return (
    <section className="section" aria-labelledby="sessions-title">
      <div className="section-head">
        <h2 id="sessions-title">Where you are signed in</h2>
        {others > 0 && <EndOthers others={others} />}
      </div>
      <Loaded query={query} waiting={<RowsWaiting what="sessions" rows={2} />}>
        {({ items }) => (
          <ul className="card">
            {[...items]
              .sort((a, b) => Number(b.current) - Number(a.current))
              .map((session) => (
                <li key={session.id}>
                  <SessionRow session={session} />
                </li>
              ))}
          </ul>
        )}
      </Loaded>
    </section>
  );
}

function SessionRow({ session }: { session: Session }) {
  const { id, current, device, place, signed_in_with: via, created_at: created, last_seen_at: seen } = session;
  const providers = useProviders().data?.items;
  const end = useEndSession();
  const Icon = /iPhone|Android|iPad/.test(device) ? Smartphone : Laptop;
  return (
    <div className="row">
      <span className="mark boxed">
        <Icon className="icon" aria-hidden />
      </span>
      <div className="row-main">
        <div className="row-title">
          <strong>{device}</strong>
          <span className="muted small">{place}</span>
        </div>
        <p className="row-sub">
          signed in with {wayWords(via, (name) => providerTitle(name, providers))} <Ago at={created} /> · active <Ago at={seen} />
        </p>
      </div>
      <div className="row-side">
        {current ? (
          <State tone="green">This session</State>
        ) : (
          <Confirm
            verb={`End session on ${device}`}
            label="End"
            size="small"
            question="End this session?"
            pending={end.isPending}
            error={end.error}
            onOpen={() => end.reset()}
            onConfirm={() => end.mutate(id)}
          >
            <p>
              <strong>
                {device} ({place}) is signed out at once.
              </strong>
            </p>
            <p className="muted small">Agents keep their grants. If you do not recognise this session, revoke those as well.</p>
          </Confirm>
        )}
      </div>
    </div>
  );
}

function EndOthers({ others }: { others: number }) {
  const [grants, setGrants] = useState(false);
  const end = useEndOtherSessions();
  const sessions = others === 1 ? "The other session is" : `${count(others, "other session")} are`;
  return (
    <Confirm
      verb="End all others"
      size="small"
      question="End all other sessions?"
      keep="Keep them"
      pending={end.isPending}
      error={end.error}
      onOpen={() => end.reset()}
      onConfirm={() => end.mutate(grants)}
    >
      <p>
        <strong>{sessions} signed out at once.</strong> This one stays.
      </p>
      <Check checked={grants} onChange={setGrants}>
        <span className="scope-words">
          Also revoke the grants of all agents
          <span className="faint">Every agent loses every account, until you create new grants.</span>
        </span>
      </Check>
    </Confirm>
  );
}
