import { Bot, Plus } from "lucide-react";
import { useNavigate } from "react-router";

import type { Grant } from "../api/types";
import { Tutorial } from "../connections/Tutorial";
import { Button } from "../kit/Button";
import { Opened } from "../kit/Opened";
import { PageHead } from "../kit/PageHead";
import { count } from "../kit/words";
import { Empty, Loaded, RowsWaiting } from "../kit/Waiting";
import { GrantRow } from "./GrantRow";
import { useGrants } from "./queries";
import "./grants.css";

export function AgentsPage() {
  const query = useGrants();
  const navigate = useNavigate();
  const create = () => void navigate("/agents/new");
  return (
    <div className="page">
      <PageHead
        title="Agents"
        lead={query.data === undefined ? "Programs that can act as you, each on a grant that ends by itself." : leadFor(query.data.items)}
        action={
          <Button look="primary" icon={<Plus className="icon" aria-hidden />} onPress={create}>
            New grant
          </Button>
        }
      />
      <Tutorial />
      <Loaded query={query} waiting={<RowsWaiting what="grants" />}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty icon={<Bot className="icon" aria-hidden />} title="No agent can act as you">
              A grant lets one program use the connections you pick, for as long as you say. It shows here until it ends, and you can end it at
              any time.
            </Empty>
          ) : (
            <ul className="card" aria-label="Live grants">
              {items.map((grant) => (
                <li key={grant.id}>
                  <GrantRow grant={grant} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      <Opened />
    </div>
  );
}

function leadFor(items: Grant[]): string {
  if (items.length === 0) return "No program can act as you now.";
  const agents = new Set(items.map(({ agent }) => agent)).size;
  const grants = agents === items.length ? "" : ` on ${count(items.length, "live grant")}`;
  return `${count(agents, "agent")} can act as you${grants}. Each grant ends by itself.`;
}
