import { useNavigate, useLocation, useParams } from "react-router";

import { ApiProblem } from "../api/problem";
import type { LedgerEntry } from "../api/types";
import { CopyButton } from "../kit/Button";
import { Drawer } from "../kit/Drawer";
import { Gone } from "../kit/Gone";
import { ProblemNote } from "../kit/ProblemNote";
import { State, type StateTone } from "../kit/State";
import { Ago } from "../kit/Times";
import { exact } from "../kit/time";
import { RowsWaiting } from "../kit/Waiting";
import { EntrySign } from "./EntrySign";
import { useEntry } from "./queries";
import { EntryWords } from "./EntryWords";

const outcomes: Record<LedgerEntry["outcome"], { word: string; tone: StateTone }> = {
  ok: { word: "Done", tone: "green" },
  denied: { word: "Refused", tone: "red" },
  failed: { word: "Failed", tone: "red" },
  pending: { word: "Waiting for the answer", tone: "grey" },
  unknown: { word: "Unknown: the answer never came", tone: "amber" },
};

export function EntryDrawer() {
  const { id = "" } = useParams();
  const navigate = useNavigate();
  const { search } = useLocation();
  const query = useEntry(id);
  const gone = query.error instanceof ApiProblem && query.error.status === 404;
  return (
    <Drawer
      title="What happened"
      onClose={() => void navigate({ pathname: "/activity", search })}
    >
      {query.data !== undefined ? (
        <Opened entry={query.data} />
      ) : gone ? (
        <Gone what="entry" />
      ) : query.error ? (
        <ProblemNote error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <RowsWaiting what="the entry" rows={2} />
      )}
    </Drawer>
  );
}

function Opened({ entry }: { entry: LedgerEntry }) {
  const { word, tone } = outcomes[entry.outcome];
  return (
    <>
      <div className="entry-lead">
        <EntrySign entry={entry} />
        <p>
          <EntryWords entry={entry} />
        </p>
      </div>
      {entry.method !== null && entry.path !== null && <RawCall entry={entry} />}
      <dl className="facts">
        <dt>Outcome</dt>
        <dd>
          <State tone={tone}>{word}</State>
        </dd>
        <dt>When</dt>
        <dd>
          {exact(entry.at)} (<Ago at={entry.at} />)
        </dd>
        <Fact name="Code" value={entry.code} mono />
        <Fact name="Reason given" value={entry.reason} />
        <Fact name="Took" value={entry.duration_ms === null ? null : `${entry.duration_ms} ms`} />
        <Fact name="From" value={entry.address} mono />
        <Fact name="Grant" value={entry.grant} mono />
        <Fact name="Request" value={entry.request_id} mono />
        <dt>Sealed</dt>
        <dd>{entry.sealed ? `Yes${entry.batch === null ? "" : `, in batch ${entry.batch}`}: any later change would show.` : "Not yet; within a second or two."}</dd>
      </dl>
      <section className="stack" aria-labelledby="entry-raw">
        <div className="section-head">
          <h3 id="entry-raw">As recorded</h3>
          <CopyButton text={JSON.stringify(entry, null, 2)} what="the entry" look="quiet" />
        </div>
        {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a region that scrolls must be reachable by keyboard */}
        <pre className="raw" tabIndex={0} role="region" aria-label="The entry as recorded">
          {JSON.stringify(entry, null, 2)}
        </pre>
      </section>
    </>
  );
}

function RawCall({ entry: { method, path, status } }: { entry: LedgerEntry }) {
  return (
    <p className="call">
      <code>
        <strong>{method}</strong> {path}
      </code>
      {status !== null && <span className={status >= 400 ? "figures tone-red" : "figures tone-green"}>{status}</span>}
    </p>
  );
}

function Fact({ name, value, mono = false }: { name: string; value: string | null; mono?: boolean }) {
  if (value === null) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd className={mono ? "mono" : undefined}>{value}</dd>
    </>
  );
}
