/** The names under which server state is cached. Events and mutations address the caches by these. */
export const keys = {
  me: ["me"] as const,
  providers: ["providers"] as const,
  connections: ["connections"] as const,
  grants: ["grants"] as const,
  sessions: ["sessions"] as const,
  identities: ["identities"] as const,
  factors: ["factors"] as const,
  ledger: ["ledger"] as const,
  /** The top of the ledger alone: what is loaded below it does not change. */
  newest: ["ledger", "newest"] as const,
};
