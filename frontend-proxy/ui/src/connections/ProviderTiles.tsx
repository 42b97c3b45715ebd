import { useNavigate } from "react-router";

import { useProviders } from "../api/me";
import type { Connection, Provider } from "../api/types";
import { Bone } from "../kit/Bone";
import { ProviderMark } from "../kit/ProviderMark";
import { list } from "../kit/words";
import { Loaded } from "../kit/Waiting";

/** Every provider that this installation can connect, and in one sentence those that it could. */
export function ProviderTiles({ connections }: { connections: Connection[] }) {
  const query = useProviders();
  return (
    <section className="section" aria-labelledby="connect-title">
      <div className="section-head">
        <h2 id="connect-title">{connections.length === 0 ? "Connect an account" : "Connect another account"}</h2>
      </div>
      <Loaded query={query} waiting={<TilesWaiting />}>
        {({ items }) => {
          const offered = items.filter(({ connect }) => connect);
          const ready = offered.filter(({ configured }) => configured);
          const others = offered.filter(({ configured }) => !configured);
          return (
            <>
              <ul className="tiles">
                {ready.map((provider) => (
                  <li key={provider.name}>
                    <Tile provider={provider} connected={connections.filter((item) => item.provider === provider.name).length} />
                  </li>
                ))}
              </ul>
              {others.length > 0 && (
                <p className="small muted">
                  {list(others.map(({ title }) => title))} can be connected once whoever runs this Keybearer adds credentials for{" "}
                  {others.length === 1 ? "it" : "them"}.
                </p>
              )}
            </>
          );
        }}
      </Loaded>
    </section>
  );
}

function Tile({ provider: { name, title, icon, unverified }, connected }: { provider: Provider; connected: number }) {
  const navigate = useNavigate();
  const note = connected > 0 ? `${connected} connected` : unverified ? "Unverified" : null;
  return (
    <div className="tile">
      <ProviderMark icon={icon} title={title} />
      <button type="button" className="tile-button" onClick={() => void navigate(`/connections/connect/${encodeURIComponent(name)}`)}>
        <span className="visually-hidden">Connect </span>
        {title}
      </button>
      {note !== null && <span className="tile-note">{note}</span>}
    </div>
  );
}

function TilesWaiting() {
  return (
    <div className="tiles" role="status" aria-label="Loading providers">
      {Array.from({ length: 6 }, (_, place) => (
        <div className="tile" key={place}>
          <Bone shape="w2" />
        </div>
      ))}
    </div>
  );
}
