import type { Connection } from "../api/types";
import { Opened } from "../kit/Opened";
import { PageHead } from "../kit/PageHead";
import { count } from "../kit/words";
import { Loaded, RowsWaiting } from "../kit/Waiting";
import { ConnectionRow } from "./ConnectionRow";
import { ProviderTiles } from "./ProviderTiles";
import { useConnections } from "./queries";
import { ToldNote } from "./ToldNote";
import { TripBanner } from "./TripBanner";
import { Tutorial } from "./Tutorial";
import "./connections.css";

export function ConnectionsPage() {
  const query = useConnections();
  const items = query.data?.items.filter(({ state }) => state !== "revoked");
  return (
    <div className="page">
      <PageHead title="Connections" lead={items === undefined ? "Accounts that agents can act through." : leadFor(items)} />
      <TripBanner />
      <ToldNote />
      <Tutorial />
      <Loaded query={query} waiting={<RowsWaiting what="connections" />}>
        {() =>
          items === undefined || items.length === 0 ? null : (
            <ul className="card" aria-label="Connections">
              {items.map((connection) => (
                <li key={connection.id}>
                  <ConnectionRow connection={connection} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      <ProviderTiles connections={items ?? []} />
      <Opened />
    </div>
  );
}

function leadFor(items: Connection[]): string {
  if (items.length === 0) return "Nothing is connected, so no agent can act as you anywhere.";
  const agents = new Set(items.flatMap((item) => item.agents)).size;
  const waiting = items.filter(({ state }) => state === "needs_reconnect").length;
  const acting = agents === 0 ? "No agent can act through them now." : `${count(agents, "agent")} can act through them.`;
  const asking = waiting === 0 ? "" : ` ${waiting === 1 ? "1 needs" : `${waiting} need`} you.`;
  return `${count(items.length, "account")} connected. ${acting}${asking}`;
}
