/** The exact command that uses a grant, and the choices of how long one lives. */
export function demoCommand(origin: string, grant: string): string {
  return `KEYBEARER_URL=${origin} KEYBEARER_GRANT=${grant} python -m keybearer_agent.demo "Play Despacito"`;
}

export const lifetimes = [
  { value: "900", label: "15 min" },
  { value: "3600", label: "1 hour" },
  { value: "28800", label: "8 hours" },
  { value: "86400", label: "1 day" },
  { value: "604800", label: "7 days" },
  { value: "2592000", label: "30 days" },
] as const;

export type LifetimeChoice = (typeof lifetimes)[number]["value"];
