import { useNavigate } from "react-router";

import { useProviders } from "../api/me";
import type { Connection, Provider } from "../api/types";
import { Bone } from "../kit/Bone";
import { ProviderMark } from "../kit/ProviderMark";
import { Loaded } from "../kit/Waiting";

/** Every provider that this installation knows; those without credentials say so instead of failing later. */
export function ProviderTiles({ connections }: { connections: Connection[] }) {
  const query = useProviders();
  return (
    <section className="section" aria-labelledby="connect-title">
      <div className="section-head">
        <h2 id="connect-title">{connections.length === 0 ? "Connect an account" : "Connect another account"}</h2>
      </div>
      <Loaded query={query} waiting={<TilesWaiting />}>
        {({ items }) => {
          const offered = items.filter(({ connect }) => connect).sort((a, b) => Number(b.configured) - Number(a.configured));
          if (offered.length === 0) return <p className="muted small">No provider is set up here yet.</p>;
          return (
            <ul className="tiles">
              {offered.map((provider) => (
                <li key={provider.name}>
                  <Tile provider={provider} connected={connections.filter((item) => item.provider === provider.name).length} />
                </li>
              ))}
            </ul>
          );
        }}
      </Loaded>
    </section>
  );
}

function Tile({ provider: { name, title, icon, configured, unverified }, connected }: { provider: Provider; connected: number }) {
  const navigate = useNavigate();
  const note = !configured ? "Not set up here" : connected > 0 ? `${connected} connected` : unverified ? "Unverified" : null;
  return (
    <button
      type="button"
      className="tile"
      disabled={!configured}
      aria-label={`Connect ${title}`}
      title={configured ? undefined : `Whoever runs this Keybearer has not added client credentials for ${title}.`}
      onClick={() => void navigate(`/connections/connect/${encodeURIComponent(name)}`)}
    >
      <ProviderMark icon={icon} title={title} />
      <span className="tile-title">{title}</span>
      {note !== null && <span className="tile-note">{note}</span>}
    </button>
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
