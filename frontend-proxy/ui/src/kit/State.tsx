import "./marks.css";

export type StateTone = "green" | "amber" | "red" | "grey";

const shapes: Record<StateTone, React.ReactNode> = {
  green: <circle cx="6" cy="6" r="4" fill="currentColor" />,
  amber: (
    <>
      <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" strokeWidth="1.5" />
      <path d="M6 1.75a4.25 4.25 0 0 1 0 8.5z" fill="currentColor" />
    </>
  ),
  red: <path d="M6 1.4 11 10.4H1z" fill="currentColor" stroke="currentColor" strokeLinejoin="round" />,
  grey: <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" strokeWidth="1.5" />,
};

/** A state is a word beside a shape, so that it reads without colour too. */
export function State({ tone, children }: { tone: StateTone; children: string }) {
  return (
    <span className={`state ${tone}`}>
      <svg viewBox="0 0 12 12" aria-hidden focusable="false">
        {shapes[tone]}
      </svg>
      {children}
    </span>
  );
}
