import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";

import { get } from "../api/http";
import { keys } from "../api/keys";
import type { LedgerEntry, Page } from "../api/types";
import { mergeNewest, type Pages } from "./loaded";

const pageSize = 50;
/** How often the top of the ledger is asked for, in milliseconds, while somebody looks at it. */
const every = 3_000;

export interface Filters {
  provider: string;
  action: string;
}

export function useLedger(filters: Filters) {
  const pagesKey = [...keys.ledger, "pages", filters] as const;
  const client = useQueryClient();
  const atTop = useAtTop();
  const ask = (after: string | null, signal: AbortSignal) =>
    get<Page<LedgerEntry>>("/ledger", { ...filters, after, limit: pageSize }, signal);
  const pages = useInfiniteQuery({
    queryKey: pagesKey,
    queryFn: ({ pageParam, signal }) => ask(pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    // The newest come by the query below; asking for every loaded page again would be for nothing.
    staleTime: Infinity,
  });
  useQuery({
    queryKey: [...keys.newest, filters],
    queryFn: async ({ signal }) => {
      const newest = await ask(null, signal);
      client.setQueryData<Pages>(pagesKey, (loaded) => mergeNewest(loaded, newest));
      return newest.items[0]?.id ?? null;
    },
    enabled: pages.isSuccess,
    refetchInterval: atTop ? every : false,
    staleTime: 0,
  });
  return pages;
}

export function useEntry(id: string) {
  const client = useQueryClient();
  return useQuery({
    queryKey: [...keys.ledger, "entry", id],
    queryFn: ({ signal }) => get<LedgerEntry>(`/ledger/${encodeURIComponent(id)}`, {}, signal),
    initialData: () => loadedEntry(client.getQueriesData<Pages>({ queryKey: [...keys.ledger, "pages"] }), id),
    initialDataUpdatedAt: 0,
  });
}

/** The last call an agent made that went through: the tutorial waits for it. */
export function useLatestCall(watching: boolean) {
  return useQuery({
    queryKey: [...keys.newest, "call"],
    queryFn: ({ signal }) => get<Page<LedgerEntry>>("/ledger", { action: "proxy.call", limit: 1 }, signal),
    refetchInterval: ({ state }) => (watching && (state.data?.items.length ?? 0) === 0 ? every : false),
  });
}

function loadedEntry(queries: [unknown, Pages | undefined][], id: string): LedgerEntry | undefined {
  for (const [, loaded] of queries) {
    for (const page of loaded?.pages ?? []) {
      const found = page.items.find((entry) => entry.id === id);
      if (found) return found;
    }
  }
  return undefined;
}

function useAtTop(): boolean {
  return useSyncExternalStore(
    (tell) => {
      window.addEventListener("scroll", tell, { passive: true });
      return () => window.removeEventListener("scroll", tell);
    },
    () => window.scrollY < 120,
  );
}
