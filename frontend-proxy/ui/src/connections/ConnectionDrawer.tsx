import { ArrowRight, RefreshCw } from "lucide-react";
import { Link, useNavigate, useParams } from "react-router";

import { useProviders } from "../api/me";
import type { Connection } from "../api/types";
import { Button } from "../kit/Button";
import { useClock } from "../kit/clock";
import { Confirm } from "../kit/Confirm";
import { Drawer } from "../kit/Drawer";
import { Gone } from "../kit/Gone";
import { Note, ProblemNote } from "../kit/ProblemNote";
import { ProviderMark } from "../kit/ProviderMark";
import { State } from "../kit/State";
import { Ago, Left } from "../kit/Times";
import { RowsWaiting } from "../kit/Waiting";
import { useConnections, useDisconnect, useRefreshConnection, useStartConnection } from "./queries";
import { disconnectSentence, leftWords, needsPerson, stateSentence, stateWords } from "./states";

export function ConnectionDrawer() {
  const { id } = useParams();
  const navigate = useNavigate();
  const query = useConnections();
  const connection = query.data?.items.find((item) => item.id === id);
  const close = () => void navigate("/connections");
  const gone = (told: string) => void navigate("/connections", { state: { told } });
  if (connection) return <Opened connection={connection} onClose={close} onGone={gone} />;
  return (
    <Drawer title="Connection" onClose={close}>
      {query.error ? (
        <ProblemNote error={query.error} onRetry={() => void query.refetch()} />
      ) : query.isPending ? (
        <RowsWaiting what="the connection" rows={2} />
      ) : (
        <Gone what="connection" />
      )}
    </Drawer>
  );
}

interface OpenedProps {
  connection: Connection;
  onClose: () => void;
  onGone: (told: string) => void;
}

function Opened({ connection, onClose, onGone }: OpenedProps) {
  const { id, provider, title, icon, account, state } = connection;
  const start = useStartConnection();
  const refresh = useRefreshConnection();
  const sentence = useClock((now) => stateSentence(connection, now) ?? "");
  const oauth = useProviders().data?.items.find(({ name }) => name === provider)?.auth === "oauth2";
  return (
    <Drawer
      title={`${title} · ${account}`}
      mark={<ProviderMark icon={icon} title={title} boxed />}
      onClose={onClose}
      foot={<Actions connection={connection} oauth={oauth} start={start} refresh={refresh} onGone={onGone} />}
    >
      {start.error && <ProblemNote error={start.error} />}
      {refresh.error && <ProblemNote error={refresh.error} />}
      {needsPerson(state) && <Note tone={state === "expiring" ? "amber" : "red"}>{sentence}</Note>}
      <Facts connection={connection} />
      {state === "active" && sentence !== "" && <p className="small muted">{sentence}</p>}
      <section className="stack" aria-labelledby={`${id}-scopes`}>
        <h3 id={`${id}-scopes`}>What it allows</h3>
        <Scopes connection={connection} />
      </section>
      <section className="stack" aria-labelledby={`${id}-agents`}>
        <h3 id={`${id}-agents`}>Agents that can act through it</h3>
        <Agents connection={connection} />
      </section>
      <p className="small">
        <Link to={`/activity?provider=${encodeURIComponent(provider)}`} className="more">
          What they did on {title} <ArrowRight className="icon" aria-hidden />
        </Link>
      </p>
    </Drawer>
  );
}

function Facts({ connection }: { connection: Connection }) {
  const { word, tone } = stateWords(connection.state);
  return (
    <dl className="facts">
      <dt>State</dt>
      <dd>
        <State tone={tone}>{word}</State>
      </dd>
      <dt>Account</dt>
      <dd>{connection.account}</dd>
      <dt>Connected</dt>
      <dd>
        <Ago at={connection.created_at} />
      </dd>
      <dt>Last used</dt>
      <dd>{connection.last_used_at === null ? "Never" : <Ago at={connection.last_used_at} />}</dd>
      {connection.grant_expires_at !== null && (
        <>
          <dt>Consent</dt>
          <dd>
            <Left kind="consent" expires={connection.grant_expires_at} />
          </dd>
        </>
      )}
      {connection.access_expires_at !== null && connection.state !== "needs_reconnect" && (
        <>
          <dt>Access token</dt>
          <dd>
            <AccessTime at={connection.access_expires_at} />
          </dd>
        </>
      )}
    </dl>
  );
}

/** An access token that runs out is no bad news: Keybearer gets the next one by itself. */
function AccessTime({ at }: { at: string }) {
  const past = useClock((now) => (Date.parse(at) <= now ? 1 : 0));
  return past ? <>expired, renewed at the next call</> : <>renewed by itself <Ago at={at} /></>;
}

function Scopes({ connection: { provider, scopes } }: { connection: Connection }) {
  const known = useProviders().data?.items.find(({ name }) => name === provider)?.scopes ?? [];
  if (scopes.length === 0) return <p className="small muted">The provider names no scopes: it is all that the key allows.</p>;
  return (
    <ul className="scopes">
      {scopes.map((scope) => (
        <li key={scope}>
          {known.find(({ name }) => name === scope)?.title ?? null}
          <code className="faint">{scope}</code>
        </li>
      ))}
    </ul>
  );
}

function Agents({ connection: { id, agents } }: { connection: Connection }) {
  if (agents.length === 0) {
    return (
      <p className="small muted">
        None now. <Link to={`/agents/new?connection=${id}`}>Create a grant</Link> to let one act.
      </p>
    );
  }
  return (
    <ul className="tags">
      {agents.map((agent, place) => (
        <li className="tag" key={`${agent}-${place}`}>
          {agent}
        </li>
      ))}
    </ul>
  );
}

interface ActionsProps {
  connection: Connection;
  oauth: boolean;
  start: ReturnType<typeof useStartConnection>;
  refresh: ReturnType<typeof useRefreshConnection>;
  onGone: (words: string) => void;
}

function Actions({ connection, oauth, start, refresh, onGone }: ActionsProps) {
  const { id, provider, title, state, agents } = connection;
  const disconnect = useDisconnect();
  return (
    <>
      {oauth && (
        <Button
          look={state === "needs_reconnect" ? "primary" : "secondary"}
          aria-label={`Reconnect ${title}`}
          isPending={start.isPending || start.isSuccess}
          onPress={() => start.mutate({ provider, connection: id })}
        >
          Reconnect
        </Button>
      )}
      {oauth && (state === "active" || state === "expiring") && (
        <Button
          icon={<RefreshCw className="icon" aria-hidden />}
          isPending={refresh.isPending}
          onPress={() => refresh.mutate(id)}
        >
          {refresh.isSuccess ? "Refreshed" : "Refresh now"}
        </Button>
      )}
      <span className="push">
        <Confirm
          verb={`Disconnect ${title}`}
          question={`Disconnect ${title}?`}
          keep="Keep it connected"
          pending={disconnect.isPending}
          error={disconnect.error}
          onOpen={() => disconnect.reset()}
          onConfirm={() => {
            // Awaited here, because the row is gone from the cache, and this component with it, before the answer is told.
            disconnect.mutateAsync(id).then((answer) => onGone(leftWords(title, answer)), () => undefined);
          }}
        >
          <p>
            <strong>{disconnectSentence(title, agents)}</strong>
          </p>
          <p className="muted small">
            Keybearer revokes its access at {title} where {title} can do that, and destroys the tokens. This cannot be undone; you can
            connect again.
          </p>
        </Confirm>
      </span>
    </>
  );
}
