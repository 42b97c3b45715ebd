/** What an event changes in the caches, at once; what it cannot know is fetched again behind it. */
import type { QueryClient, QueryKey } from "@tanstack/react-query";

import { keys } from "./keys";
import type { Connection, ConnectionState, Grant, Me, Page } from "./types";

export type LiveEvent =
  | { name: "connection.changed"; id: string; provider: string; state: ConnectionState }
  | { name: "grant.revoked"; id: string }
  | { name: "session.revoked"; id: string };

export const eventNames = ["connection.changed", "grant.revoked", "session.revoked"] as const;
const states: readonly string[] = ["active", "expiring", "needs_reconnect", "revoked"];

export function readEvent(name: LiveEvent["name"], data: string): LiveEvent | null {
  let body: unknown;
  try {
    body = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof body !== "object" || body === null || !("id" in body) || typeof body.id !== "string") return null;
  if (name !== "connection.changed") return { name, id: body.id };
  if (!("state" in body) || typeof body.state !== "string" || !isState(body.state)) return null;
  const provider = "provider" in body && typeof body.provider === "string" ? body.provider : "";
  return { name, id: body.id, provider, state: body.state };
}

export function applyEvent(client: QueryClient, event: LiveEvent): void {
  switch (event.name) {
    case "connection.changed":
      patchState(client, event.id, event.state);
      refetch(client, keys.connections, keys.grants, keys.newest);
      return;
    case "grant.revoked":
      client.setQueryData<Page<Grant>>(keys.grants, (page) => without(page, event.id));
      refetch(client, keys.grants, keys.connections, keys.newest);
      return;
    case "session.revoked":
      if (client.getQueryData<Me>(keys.me)?.session.id === event.id) refetch(client, keys.me);
      client.setQueryData<Page<{ id: string }>>(keys.sessions, (page) => without(page, event.id));
      refetch(client, keys.sessions, keys.newest);
  }
}

function patchState(client: QueryClient, id: string, state: ConnectionState): void {
  client.setQueryData<Page<Connection>>(keys.connections, (page) =>
    page && { ...page, items: page.items.map((item) => (item.id === id ? { ...item, state } : item)) },
  );
  client.setQueryData<Page<Grant>>(keys.grants, (page) =>
    page && {
      ...page,
      items: page.items.map((grant) => ({
        ...grant,
        connections: grant.connections.map((item) => (item.id === id ? { ...item, state } : item)),
      })),
    },
  );
}

function without<Item extends { id: string }>(page: Page<Item> | undefined, id: string): Page<Item> | undefined {
  return page && { ...page, items: page.items.filter((item) => item.id !== id) };
}

function refetch(client: QueryClient, ...queryKeys: QueryKey[]): void {
  for (const queryKey of queryKeys) void client.invalidateQueries({ queryKey });
}

function isState(value: string): value is ConnectionState {
  return states.includes(value);
}
