import { ArrowRight } from "lucide-react";
import { Link, useNavigate, useParams } from "react-router";

import type { Grant } from "../api/types";
import { Avatar } from "../kit/Avatar";
import { Drawer } from "../kit/Drawer";
import { Gone } from "../kit/Gone";
import { ProblemNote } from "../kit/ProblemNote";
import { ProviderMark } from "../kit/ProviderMark";
import { State } from "../kit/State";
import { Ago, Left } from "../kit/Times";
import { RowsWaiting } from "../kit/Waiting";
import { stateWords } from "../connections/states";
import { useGrants } from "./queries";
import { RevokeGrant } from "./RevokeGrant";

export function GrantDrawer() {
  const { id } = useParams();
  const navigate = useNavigate();
  const query = useGrants();
  const grant = query.data?.items.find((item) => item.id === id);
  const close = () => void navigate("/agents");
  if (grant) return <Opened grant={grant} onClose={close} />;
  return (
    <Drawer title="Grant" onClose={close}>
      {query.error ? (
        <ProblemNote error={query.error} onRetry={() => void query.refetch()} />
      ) : query.isPending ? (
        <RowsWaiting what="the grant" rows={2} />
      ) : (
        <Gone what="grant" />
      )}
    </Drawer>
  );
}

function Opened({ grant, onClose }: { grant: Grant; onClose: () => void }) {
  const { agent, connections, scopes, reason, created_at: created, expires_at: expires, last_used_at: used } = grant;
  return (
    <Drawer title={agent} mark={<Avatar name={agent} url={null} />} onClose={onClose} foot={<RevokeGrant grant={grant} onGone={onClose} />}>
      <dl className="facts">
        <dt>Ends</dt>
        <dd>
          <Left kind="grant" expires={expires} created={created} />
        </dd>
        <dt>Created</dt>
        <dd>
          <Ago at={created} />
        </dd>
        <dt>Last used</dt>
        <dd>{used === null ? "Not yet" : <Ago at={used} />}</dd>
        {reason !== null && (
          <>
            <dt>Reason</dt>
            <dd>{reason}</dd>
          </>
        )}
      </dl>
      <section className="stack" aria-labelledby="grant-reach">
        <h3 id="grant-reach">Can act through</h3>
        <ul className="card small">
          {connections.map(({ id, icon, title, account, state }) => (
            <li key={id}>
              <div className="row opens slim">
                <ProviderMark icon={icon} title={title} />
                <div className="row-main">
                  <span className="row-title">
                    <Link to={`/connections/${id}`}>{title}</Link> <span className="muted">{account}</span>
                  </span>
                </div>
                <State tone={stateWords(state).tone}>{stateWords(state).word}</State>
              </div>
            </li>
          ))}
        </ul>
      </section>
      <section className="stack" aria-labelledby="grant-scopes">
        <h3 id="grant-scopes">Limited to</h3>
        {scopes === null || scopes.length === 0 ? (
          <p className="small muted">Everything that these connections allow.</p>
        ) : (
          <ul className="tags">
            {scopes.map((scope) => (
              <li key={scope} className="tag mono">
                {scope}
              </li>
            ))}
          </ul>
        )}
      </section>
      <p className="small">
        <Link to={`/activity?agent=${encodeURIComponent(agent)}`} className="more">
          What {agent} did <ArrowRight className="icon" aria-hidden />
        </Link>
      </p>
    </Drawer>
  );
}
