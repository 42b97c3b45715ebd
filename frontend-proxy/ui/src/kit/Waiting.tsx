import type { ReactNode } from "react";

import { Bone } from "./Bone";
import { ProblemNote } from "./ProblemNote";

/** What a list is while it loads: its own rows, without words yet. */
export function RowsWaiting({ what, rows = 3 }: { what: string; rows?: number }) {
  return (
    <div className="card" role="status" aria-label={`Loading ${what}`}>
      {Array.from({ length: rows }, (_, row) => (
        <div className="row" key={row}>
          <Bone shape="mark" />
          <div className="row-main">
            <Bone shape="w2" />
            <Bone shape="w4" />
          </div>
          <Bone shape="w1" />
        </div>
      ))}
    </div>
  );
}

export function Empty({ icon, title, children, action }: { icon: ReactNode; title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="card empty">
      <span className="glyph">{icon}</span>
      <h2>{title}</h2>
      <p>{children}</p>
      {action}
    </div>
  );
}

interface Loadable<Data> {
  data: Data | undefined;
  error: Error | null;
  refetch: () => unknown;
}

/** Waiting, refused, or there: the three states of anything that comes from the API. */
export function Loaded<Data>({ query, waiting, children }: { query: Loadable<Data>; waiting: ReactNode; children: (data: Data) => ReactNode }) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <ProblemNote error={query.error} onRetry={() => void query.refetch()} />;
  return waiting;
}
