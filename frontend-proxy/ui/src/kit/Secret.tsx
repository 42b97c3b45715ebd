import type { ReactNode } from "react";

import { CopyButton } from "./Button";
import "./secret.css";

interface Props {
  label: string;
  text: string;
  /** "the grant", as in "Copy the grant". */
  what: string;
  testId: string;
  /** What else can be done with it, before Copy. */
  children?: ReactNode;
}

/** What is seen once, in the shape in which it is copied. */
export function Secret({ label, text, what, testId, children }: Props) {
  return (
    <div className="stack">
      <div className="section-head">
        <h3>{label}</h3>
      </div>
      <div className="secret">
        <code data-testid={testId}>{text}</code>
        <div className="secret-actions">
          {children}
          <CopyButton text={text} what={what} />
        </div>
      </div>
    </div>
  );
}
