import { Link } from "react-router";

import type { LedgerEntry } from "../api/types";
import { Ago } from "../kit/Times";
import { EntrySign } from "./EntrySign";
import { outcomeWords } from "./sentence";
import { EntryWords } from "./EntryWords";

export function EntryRow({ entry, search }: { entry: LedgerEntry; search: string }) {
  const outcome = outcomeWords(entry);
  return (
    <div className="row opens entry">
      <EntrySign entry={entry} />
      <div className="row-main">
        <p className="entry-words">
          <Link to={{ pathname: `/activity/${entry.id}`, search }}>
            <EntryWords entry={entry} />
          </Link>
          {outcome !== null && <span className={entry.outcome === "pending" ? "muted" : "tone-amber"}> · {outcome}</span>}
          {entry.reason !== null && <span className="muted"> · “{entry.reason}”</span>}
        </p>
      </div>
      <div className="entry-side figures">
        <StatusCode entry={entry} />
        <Ago at={entry.at} />
      </div>
    </div>
  );
}

export function StatusCode({ entry: { status, outcome } }: { entry: LedgerEntry }) {
  if (status !== null) return <span className={status >= 400 ? "tone-red" : ""}>{status}</span>;
  return outcome === "denied" ? <span className="tone-red">refused</span> : null;
}
