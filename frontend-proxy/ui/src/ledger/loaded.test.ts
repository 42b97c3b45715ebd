import { describe, expect, it } from "vitest";

import type { LedgerEntry, Page } from "../api/types";
import { byDay, mergeNewest, type Pages } from "./loaded";

const entry = (id: number, more: Partial<LedgerEntry> = {}) => ({ id: String(id), at: `day-${Math.floor(id / 10)}`, ...more }) as LedgerEntry;
const page = (ids: number[], next: string | null = null): Page<LedgerEntry> => ({ items: ids.map((id) => entry(id)), next });
const pages = (...loaded: Page<LedgerEntry>[]): Pages => ({ pages: loaded, pageParams: loaded.map((_, place) => (place === 0 ? null : String(place))) });
const ids = (loaded: Pages) => loaded.pages.map(({ items }) => items.map(({ id }) => Number(id)));

describe("mergeNewest", () => {
  it.each<[string, Pages | undefined, Page<LedgerEntry>, number[][]]>([
    ["nothing loaded", undefined, page([3, 2]), [[3, 2]]],
    ["nothing new", pages(page([3, 2], "c"), page([1])), page([3, 2], "c"), [[3, 2], [1]]],
    ["some new", pages(page([3, 2], "c"), page([1])), page([5, 4, 3], "d"), [[5, 4, 3, 2], [1]]],
    ["a gap between", pages(page([3, 2], "c"), page([1])), page([9, 8, 7], "d"), [[9, 8, 7]]],
    ["an empty answer", pages(page([3, 2], "c")), page([]), [[3, 2]]],
    ["the first entries ever", pages(page([])), page([1]), [[1]]],
  ])("with %s", (_, loaded, newest, expected) => {
    expect(ids(mergeNewest(loaded, newest))).toEqual(expected);
  });

  it("keeps the way to older entries", () => {
    expect(mergeNewest(pages(page([3, 2], "older")), page([4, 3, 2], "other")).pages[0]?.next).toBe("older");
  });

  it("takes the newer form of an entry on any page", () => {
    const newest = { items: [entry(3, { outcome: "ok" }), entry(2, { outcome: "ok" })], next: null };
    const loaded = pages({ items: [entry(3, { outcome: "pending" })], next: "c" }, { items: [entry(2, { outcome: "pending" })], next: null });
    const outcomes = mergeNewest(loaded, newest).pages.flatMap(({ items }) => items.map(({ outcome }) => outcome));
    expect(outcomes).toEqual(["ok", "ok"]);
  });
});

it("groups neighbours under their day", () => {
  const days = byDay([entry(25), entry(21), entry(13)], (at) => at);
  expect(days.map(([day, those]) => [day, those.length])).toEqual([["day-2", 2], ["day-1", 1]]);
});
