import { QueryClient } from "@tanstack/react-query";
import { beforeEach, describe, expect, it } from "vitest";

import { retryDelay } from "./events";
import { keys } from "./keys";
import { applyEvent, readEvent, type LiveEvent } from "./patches";

const page = (items: unknown[]) => ({ items, next: null });
let client: QueryClient;

beforeEach(() => {
  client = new QueryClient();
  client.setQueryData(keys.me, { id: "u", session: { id: "s1" } });
  client.setQueryData(keys.connections, page([{ id: "c1", state: "active" }, { id: "c2", state: "active" }]));
  client.setQueryData(keys.grants, page([{ id: "g1", connections: [{ id: "c1", state: "active" }] }, { id: "g2", connections: [] }]));
  client.setQueryData(keys.sessions, page([{ id: "s1" }, { id: "s2" }]));
  client.setQueryData([...keys.newest, {}], "1");
});

const changed: LiveEvent = { name: "connection.changed", id: "c1", provider: "spotify", state: "needs_reconnect" };

describe("applyEvent", () => {
  it("changes a connection's state where it is listed and where grants name it", () => {
    applyEvent(client, changed);
    expect(client.getQueryData(keys.connections)).toEqual(page([{ id: "c1", state: "needs_reconnect" }, { id: "c2", state: "active" }]));
    expect(client.getQueryData(keys.grants)).toEqual(
      page([{ id: "g1", connections: [{ id: "c1", state: "needs_reconnect" }] }, { id: "g2", connections: [] }]),
    );
  });

  it("takes a revoked grant off the list", () => {
    applyEvent(client, { name: "grant.revoked", id: "g1" });
    expect(client.getQueryData(keys.grants)).toEqual(page([{ id: "g2", connections: [] }]));
  });

  it.each([
    ["s1", true],
    ["s2", false],
  ])("asks who is signed in when the session that ended is this one (%s: %s)", (id, asks) => {
    applyEvent(client, { name: "session.revoked", id });
    expect(client.getQueryState(keys.me)?.isInvalidated).toBe(asks);
    expect(client.getQueryData<{ items: unknown[] }>(keys.sessions)?.items).toHaveLength(1);
  });

  it.each<[LiveEvent, readonly (readonly string[])[]]>([
    [changed, [keys.connections, keys.grants]],
    [{ name: "grant.revoked", id: "g9" }, [keys.connections, keys.grants]],
    [{ name: "session.revoked", id: "s9" }, [keys.sessions]],
  ])("fetches again what %j may have touched", (event, touched) => {
    applyEvent(client, event);
    for (const key of touched) expect(client.getQueryState(key)?.isInvalidated, key[0]).toBe(true);
    expect(client.getQueryState([...keys.newest, {}])?.isInvalidated).toBe(true);
  });

  it("leaves what was never loaded alone", () => {
    const empty = new QueryClient();
    applyEvent(empty, changed);
    expect(empty.getQueryData(keys.connections)).toBeUndefined();
  });
});

describe("readEvent", () => {
  it.each<[LiveEvent["name"], string, LiveEvent | null]>([
    ["grant.revoked", '{"id":"g1"}', { name: "grant.revoked", id: "g1" }],
    ["connection.changed", '{"id":"c1","provider":"spotify","state":"needs_reconnect"}', changed],
    ["connection.changed", '{"id":"c1","provider":"spotify","state":"from_the_future"}', null],
    ["connection.changed", '{"id":"c1"}', null],
    ["grant.revoked", '{"id":7}', null],
    ["grant.revoked", "null", null],
    ["grant.revoked", "not json", null],
  ])("%s %s", (name, data, event) => {
    expect(readEvent(name, data)).toEqual(event);
  });
});

it("tries again with patience, and never all at the same time", () => {
  const longest = Array.from({ length: 8 }, (_, attempt) => retryDelay(attempt, () => 1));
  expect(longest).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  expect(retryDelay(3, () => 0)).toBe(4_000);
});
