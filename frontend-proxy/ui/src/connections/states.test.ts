import { describe, expect, it } from "vitest";

import type { Connection } from "../api/types";
import { disconnectSentence, leftWords, stateSentence } from "./states";

const now = Date.parse("2026-11-23T12:00:00Z");
const spotify: Connection = {
  id: "1", provider: "spotify", title: "Spotify", icon: "spotify", account: "alice", state: "active", state_reason: null, scopes: [],
  access_expires_at: null, grant_expires_at: "2027-05-03T12:00:00Z", last_used_at: null, created_at: "2026-11-03T12:00:00Z", agents: [],
};

describe("stateSentence", () => {
  it.each<[Partial<Connection>, string | null]>([
    [{}, "Spotify will ask you to sign in again on 3 May 2027."],
    [{ grant_expires_at: null }, null],
    [{ state: "expiring", grant_expires_at: "2026-11-29T12:00:00Z" }, "Spotify will ask you to sign in again on 29 Nov. Reconnect before, and nothing stops."],
    [{ state: "expiring", grant_expires_at: null }, "Spotify will ask you to sign in again soon. Reconnect before, and nothing stops."],
    [{ state: "needs_reconnect", state_reason: "invalid_grant" }, "Spotify no longer accepts the consent that you gave. Agents are refused until you reconnect; their grants stay."],
    [{ state: "needs_reconnect", state_reason: "new_reason" }, "Spotify refused the last refresh. Agents are refused until you reconnect; their grants stay."],
    [{ state: "revoked" }, "Nobody can act as you on Spotify through this connection."],
  ])("%j: %s", (change, words) => {
    expect(stateSentence({ ...spotify, ...change }, now)).toBe(words);
  });
});

it.each([
  [[], "No agent uses Spotify now."],
  [["demo"], "1 agent loses Spotify: demo."],
  [["demo", "mail", "night"], "3 agents lose Spotify: demo, mail and night."],
])("disconnecting before %j says: %s", (agents, words) => {
  expect(disconnectSentence("Spotify", agents)).toBe(words);
});

it.each([
  [{ revoked_upstream: true, grants_ended: 0 }, "Spotify is disconnected and its tokens are destroyed. Spotify was told as well."],
  [
    { revoked_upstream: false, grants_ended: 2 },
    "Spotify is disconnected and its tokens are destroyed. 2 grants ended. Spotify could not be told; you may want to remove Keybearer in its own settings too.",
  ],
])("after %j says: %s", (answer, words) => {
  expect(leftWords("Spotify", answer)).toBe(words);
});
