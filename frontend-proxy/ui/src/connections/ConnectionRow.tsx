import { Link, useNavigate } from "react-router";

import type { Connection } from "../api/types";
import { Button } from "../kit/Button";
import { ProblemNote } from "../kit/ProblemNote";
import { ProviderMark } from "../kit/ProviderMark";
import { State } from "../kit/State";
import { Ago, Left } from "../kit/Times";
import { count } from "../kit/words";
import { useStartConnection } from "./queries";
import { needsPerson, stateWords } from "./states";

export function ConnectionRow({ connection }: { connection: Connection }) {
  const { id, title, icon, account, state, agents } = connection;
  const { word, tone } = stateWords(state);
  return (
    <div className="row opens">
      <ProviderMark icon={icon} title={title} boxed />
      <div className="row-main">
        <div className="row-title">
          <Link to={`/connections/${id}`}>{title}</Link>
          <span className="muted small">{account}</span>
        </div>
        <div className="row-sub connection-sub">
          <State tone={tone}>{word}</State>
          <LastUse connection={connection} />
        </div>
      </div>
      <div className="row-side">
        <span className="row-number figures">{agents.length === 0 ? "No agents" : count(agents.length, "agent")}</span>
        <LikelyAction connection={connection} />
      </div>
    </div>
  );
}

function LastUse({ connection: { state, grant_expires_at: ends, last_used_at: used } }: { connection: Connection }) {
  if (state === "expiring" && ends !== null) return <Left kind="consent" expires={ends} />;
  return <span>{used === null ? "never used" : <>used <Ago at={used} /></>}</span>;
}

function LikelyAction({ connection }: { connection: Connection }) {
  const navigate = useNavigate();
  const start = useStartConnection();
  const { id, provider, title, state } = connection;
  if (!needsPerson(state)) {
    return (
      <Button size="small" aria-label={`Give to agent: ${title}`} onPress={() => void navigate(`/agents/new?connection=${id}`)}>
        Give to agent
      </Button>
    );
  }
  return (
    <>
      {start.error && <ProblemNote error={start.error} />}
      <Button
        size="small"
        look={state === "needs_reconnect" ? "primary" : "secondary"}
        aria-label={`Reconnect ${title}`}
        isPending={start.isPending || start.isSuccess}
        onPress={() => start.mutate({ provider, connection: id })}
      >
        Reconnect
      </Button>
    </>
  );
}
