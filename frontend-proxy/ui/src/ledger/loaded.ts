/** The loaded part of the ledger: pages, newest first, to which the newest are added while somebody looks. */
import type { LedgerEntry, Page } from "../api/types";

export interface Pages {
  pages: Page<LedgerEntry>[];
  pageParams: (string | null)[];
}

/**
 * Puts the newest page before what is loaded. Entries that are there already take their newer form (a call that was
 * pending, a row that was sealed). Where the two do not touch, something in between is missing, so only the newest stay.
 */
export function mergeNewest(loaded: Pages | undefined, newest: Page<LedgerEntry>): Pages {
  const [first, ...older] = loaded?.pages ?? [];
  if (loaded === undefined || first === undefined) return { pages: [newest], pageParams: [null] };
  const known = new Set(loaded.pages.flatMap((page) => page.items.map(({ id }) => id)));
  const touching = newest.items.some(({ id }) => known.has(id));
  if (!touching && newest.items.length > 0) return { pages: [newest], pageParams: [null] };
  const current = new Map(newest.items.map((entry) => [entry.id, entry]));
  const fresh = newest.items.filter(({ id }) => !known.has(id));
  const updated = (page: Page<LedgerEntry>) => ({ ...page, items: page.items.map((entry) => current.get(entry.id) ?? entry) });
  const head = updated(first);
  return { ...loaded, pages: [{ ...head, items: [...fresh, ...head.items] }, ...older.map(updated)] };
}

/** Entries under the day on which they happened. */
export function byDay(entries: readonly LedgerEntry[], dayOf: (at: string) => string): [string, LedgerEntry[]][] {
  const days: [string, LedgerEntry[]][] = [];
  for (const entry of entries) {
    const day = dayOf(entry.at);
    const last = days[days.length - 1];
    if (last?.[0] === day) last[1].push(entry);
    else days.push([day, [entry]]);
  }
  return days;
}
