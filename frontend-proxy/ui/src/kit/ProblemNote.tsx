import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";

import { ApiProblem } from "../api/problem";
import { Button } from "./Button";
import "./notes.css";

/** A refusal, where it happened: what happened, what to do, and the code in small type. */
export function ProblemNote({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  const problem = error instanceof ApiProblem ? error : null;
  return (
    <div className="note red" role="alert">
      <CircleAlert className="icon" aria-hidden />
      <div className="note-body">
        <p>{problem ? problem.message : "This page met something it did not expect. Reload it and try again."}</p>
        {problem && <Code problem={problem} />}
      </div>
      {onRetry && (
        <Button size="small" onPress={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Something to know before going on, that is nobody's error. */
export function Note({ tone, children, action }: { tone: "amber" | "red" | "plain"; children: ReactNode; action?: ReactNode }) {
  return (
    <div className={`note ${tone}`} role="status">
      <CircleAlert className="icon" aria-hidden />
      <div className="note-body">{children}</div>
      {action}
    </div>
  );
}

function Code({ problem }: { problem: ApiProblem }) {
  return (
    <p className="note-code">
      {problem.docs === null ? (
        <code>{problem.code}</code>
      ) : (
        <a href={problem.docs} target="_blank" rel="noreferrer">
          <code>{problem.code}</code>
        </a>
      )}
      {problem.requestId !== null && <code>{problem.requestId}</code>}
    </p>
  );
}
