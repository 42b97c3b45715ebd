import { useSearchParams } from "react-router";

import { useProviders } from "../api/me";
import type { LedgerEntry } from "../api/types";
import { useConnections } from "../connections/queries";
import { useGrants } from "../grants/queries";
import { Button } from "../kit/Button";
import { Filter } from "../kit/Fields";
import { providerTitle } from "../signin/providerTitle";
import { actionLabels } from "./sentence";

const names = ["provider", "action", "agent"] as const;
type Name = (typeof names)[number];

export function readFilters(search: URLSearchParams): Record<Name, string> {
  return { provider: search.get("provider") ?? "", action: search.get("action") ?? "", agent: search.get("agent") ?? "" };
}

/** The filters live in the address, so that what is seen can be shared and Back undoes a choice. */
export function LedgerFilters({ entries }: { entries: LedgerEntry[] }) {
  const [search, setSearch] = useSearchParams();
  const chosen = readFilters(search);
  const providers = useProviderChoices(entries, chosen.provider);
  const agents = useAgentChoices(entries, chosen.agent);
  function choose(name: Name, value: string): void {
    const next = new URLSearchParams(search);
    if (value === "") next.delete(name);
    else next.set(name, value);
    setSearch(next);
  }
  return (
    <div className="filters" role="group" aria-label="Filter activity">
      <Filter label="Provider" all="All providers" choices={providers} value={chosen.provider} onChange={(value) => choose("provider", value)} />
      <Filter
        label="Action"
        all="All actions"
        choices={Object.entries(actionLabels).map(([value, label]) => ({ value, label }))}
        value={chosen.action}
        onChange={(value) => choose("action", value)}
      />
      <Filter label="Agent" all="All agents" choices={agents} value={chosen.agent} onChange={(value) => choose("agent", value)} />
      {names.some((name) => chosen[name] !== "") && (
        <Button look="quiet" size="small" onPress={() => setSearch({})}>
          Clear
        </Button>
      )}
    </div>
  );
}

function useProviderChoices(entries: LedgerEntry[], chosen: string) {
  const providers = useProviders().data?.items;
  const connections = useConnections().data?.items ?? [];
  const found = [chosen, ...connections.map((item) => item.provider), ...entries.map((entry) => entry.provider ?? "")];
  return unique(found).map((value) => ({ value, label: providerTitle(value, providers) }));
}

function useAgentChoices(entries: LedgerEntry[], chosen: string) {
  const grants = useGrants().data?.items ?? [];
  const acted = entries.map(({ actor }) => (actor.kind === "agent" ? (actor.name ?? "") : ""));
  return unique([chosen, ...grants.map((grant) => grant.agent), ...acted]).map((value) => ({ value, label: value }));
}

function unique(values: string[]): string[] {
  return [...new Set(values)].filter((value) => value !== "").sort((a, b) => a.localeCompare(b));
}
