import type { ReactNode } from "react";

interface Props {
  title: string;
  lead?: ReactNode;
  action?: ReactNode;
}

export function PageHead({ title, lead, action }: Props) {
  return (
    <div className="page-head">
      <title>{`${title} · Keybearer`}</title>
      <div>
        <h1>{title}</h1>
        {lead !== undefined && <p className="lead">{lead}</p>}
      </div>
      {action}
    </div>
  );
}
