export function Wordmark() {
  return (
    <span className="wordmark">
      <svg viewBox="0 0 24 24" aria-hidden focusable="false">
        <rect width="24" height="24" rx="6" fill="var(--accent)" />
        <g fill="none" stroke="var(--on-accent)" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round">
          <circle cx="8.5" cy="12" r="3" />
          <path d="M11.5 12H19m-3 0v3" />
        </g>
      </svg>
      Keybearer
    </span>
  );
}
