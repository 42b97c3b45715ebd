import { Link } from "react-router";

import type { Grant, GrantConnection } from "../api/types";
import { ProviderMark } from "../kit/ProviderMark";
import { Ago, Left } from "../kit/Times";
import { Avatar } from "../kit/Avatar";
import { list } from "../kit/words";
import { RevokeGrant } from "./RevokeGrant";

export function GrantRow({ grant }: { grant: Grant }) {
  const { id, agent, connections, reason, created_at: created, expires_at: expires, last_used_at: used } = grant;
  return (
    <div className="row opens">
      <Avatar name={agent} url={null} />
      <div className="row-main">
        <div className="row-title">
          <Link to={`/agents/${id}`}>{agent}</Link>
          {reason !== null && <span className="muted small">{reason}</span>}
        </div>
        <div className="row-sub grant-sub">
          <GrantMarks connections={connections} />
          <span>{used === null ? "not used yet" : <>used <Ago at={used} /></>}</span>
        </div>
      </div>
      <div className="row-side">
        <span className="row-number">
          <Left kind="grant" expires={expires} created={created} />
        </span>
        <RevokeGrant grant={grant} label="Revoke" />
      </div>
    </div>
  );
}

/** Which accounts a grant reaches; one that needs its person says so. */
export function GrantMarks({ connections }: { connections: readonly GrantConnection[] }) {
  const waiting = connections.filter(({ state }) => state === "needs_reconnect");
  return (
    <span className="grant-marks">
      {connections.map(({ id, icon, title }) => (
        <ProviderMark key={id} icon={icon} title={title} />
      ))}
      <span>{connections.length === 0 ? "no connection left" : list(connections.map(({ title, account }) => `${title} (${account})`))}</span>
      {waiting.length > 0 && <span className="tone-red">{list(waiting.map(({ title }) => title))} needs reconnect</span>}
    </span>
  );
}
