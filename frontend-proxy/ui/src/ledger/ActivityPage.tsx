import { Activity } from "lucide-react";
import { useNavigate, useSearchParams } from "react-router";

import type { LedgerEntry } from "../api/types";
import { Button } from "../kit/Button";
import { useClock } from "../kit/clock";
import { Opened } from "../kit/Opened";
import { PageHead } from "../kit/PageHead";
import { ProblemNote } from "../kit/ProblemNote";
import { dayOf } from "../kit/time";
import { Empty, RowsWaiting } from "../kit/Waiting";
import { EntryRow } from "./EntryRow";
import { LedgerFilters, readFilters } from "./LedgerFilters";
import { byDay } from "./loaded";
import { useLedger } from "./queries";
import "./ledger.css";

export function ActivityPage() {
  const [search] = useSearchParams();
  const { agent, ...filters } = readFilters(search);
  const query = useLedger(filters);
  const loaded = query.data?.pages.flatMap((page) => page.items);
  const entries = loaded?.filter((entry) => agent === "" || isBy(entry, agent));
  return (
    <div className="page">
      <PageHead title="Activity" lead="Everything that agents, people and Keybearer itself did with your accounts. Nothing can be removed from it." />
      <LedgerFilters entries={loaded ?? []} />
      {query.error && <ProblemNote error={query.error} onRetry={() => void query.refetch()} />}
      {query.isPending && <RowsWaiting what="activity" rows={6} />}
      {entries?.length === 0 && <Nothing filtered={search.size > 0} agent={agent} more={query.hasNextPage} />}
      {entries !== undefined && entries.length > 0 && <Days entries={entries} search={search.toString()} />}
      {query.hasNextPage && (
        <div className="older">
          <Button isPending={query.isFetchingNextPage} onPress={() => void query.fetchNextPage()}>
            Show older
          </Button>
        </div>
      )}
      <Opened />
    </div>
  );
}

function Days({ entries, search }: { entries: LedgerEntry[]; search: string }) {
  // The day's number changes at midnight only, and with it what "Today" means.
  const today = useClock((now) => new Date(now).setHours(0, 0, 0, 0));
  return byDay(entries, (at) => dayOf(at, today)).map(([day, those]) => (
    <section className="section" key={day} aria-label={day}>
      <h2 className="day">{day}</h2>
      <ul className="card">
        {those.map((entry) => (
          <li key={entry.id}>
            <EntryRow entry={entry} search={search} />
          </li>
        ))}
      </ul>
    </section>
  ));
}

function Nothing({ filtered, agent, more }: { filtered: boolean; agent: string; more: boolean }) {
  const navigate = useNavigate();
  const icon = <Activity className="icon" aria-hidden />;
  if (!filtered) {
    return (
      <Empty
        icon={icon}
        title="Nothing has happened yet"
        action={<Button onPress={() => void navigate("/agents/new")}>Create a grant</Button>}
      >
        Every call an agent makes appears here as a sentence, seconds after it is made. Create a grant and run its command to see the first one.
      </Empty>
    );
  }
  return (
    <Empty icon={icon} title="Nothing matches" action={<Button onPress={() => void navigate("/activity")}>Show everything</Button>}>
      {agent !== "" && more ? `Nothing by ${agent} in what is loaded. “Show older” looks further back.` : "No entry fits these filters."}
    </Empty>
  );
}

function isBy(entry: LedgerEntry, agent: string): boolean {
  return (entry.actor.kind === "agent" && entry.actor.name === agent) || entry.detail?.agent === agent;
}
