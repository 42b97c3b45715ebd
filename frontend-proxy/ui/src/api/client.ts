/** The cache of server state, and what happens everywhere when an answer says that nobody is signed in. */
import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";

import { keys } from "./keys";
import { isPassing, isSignedOut } from "./problem";

export function createClient(): QueryClient {
  const client = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        if (isSignedOut(error) && query.queryKey[0] !== keys.me[0]) askWhoIsSignedIn(client);
      },
    }),
    mutationCache: new MutationCache({
      onError: (error) => {
        if (isSignedOut(error)) askWhoIsSignedIn(client);
      },
    }),
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        retry: (failures, error) => failures < 2 && isPassing(error),
        retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 4_000),
      },
      mutations: { retry: false },
    },
  });
  return client;
}

/** A 401 may also ask for a step-up; only GET /auth/me decides whether the session is gone. */
function askWhoIsSignedIn(client: QueryClient): void {
  void client.invalidateQueries({ queryKey: keys.me });
}
