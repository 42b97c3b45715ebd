import { describe, expect, it } from "vitest";

import type { LedgerEntry } from "../api/types";
import { callWords } from "./calls";
import { actionLabels, outcomeWords, plainSentence, sentence, type Context } from "./sentence";

const context: Context = { me: "me", titleOf: (name) => ({ spotify: "Spotify", github: "GitHub" })[name] ?? name };
const blank: LedgerEntry = {
  id: "1",
  at: "2026-11-23T12:00:00Z",
  action: "proxy.call",
  outcome: "ok",
  actor: { kind: "agent", id: "a", name: "demo" },
  person: null,
  provider: "spotify",
  connection: { id: "c", account: "alice" },
  grant: "g",
  method: "PUT",
  path: "/v1/me/player/play",
  status: 204,
  duration_ms: 80,
  reason: null,
  code: null,
  request_id: null,
  address: null,
  detail: null,
  sealed: false,
  batch: null,
};
const person = { kind: "person", id: "me", name: "Alice" } as const;
const system = { kind: "system", id: null, name: null } as const;
const aside = { provider: null, connection: null, method: null, path: null, status: null };

const told: [Partial<LedgerEntry>, string][] = [
  [{}, "demo played a track on Spotify (alice)"],
  [{ method: "GET", path: "/v1/search?q=Despacito" }, "demo searched Spotify (alice)"],
  [{ method: "GET", path: "v1/me" }, "demo read your profile on Spotify (alice)"],
  [{ method: "DELETE", path: "/v1/nobody/knows?token=x" }, "demo called DELETE /v1/nobody/knows on Spotify (alice)"],
  [{ outcome: "failed", status: 502 }, "demo tried PUT /v1/me/player/play on Spotify (alice)"],
  [{ actor: { kind: "agent", id: null, name: null } }, "An agent played a track on Spotify (alice)"],
  [{ action: "proxy.denied", outcome: "denied", code: "grant_ended" }, "demo was refused on Spotify (alice): its grant has ended"],
  [{ action: "proxy.denied", outcome: "denied", code: "some_new_code" }, "demo was refused on Spotify (alice): some new code"],
  [{ ...aside, action: "sign_in", actor: person, provider: "github" }, "You signed in with GitHub"],
  [{ ...aside, action: "sign_in", actor: person, provider: "password" }, "You signed in with a password"],
  [{ ...aside, action: "account.invited", actor: system, detail: { account: "bob@example.com" } }, "An invitation was made for bob@example.com"],
  [{ ...aside, action: "password.changed", actor: person }, "You changed the password"],
  [{ ...aside, action: "sign_in", actor: person, provider: "passkey" }, "You signed in with a passkey"],
  [{ ...aside, action: "factor.added", actor: person, detail: { factor: "totp" } }, "You added an authenticator app"],
  [{ ...aside, action: "factor.added", actor: person, detail: { factor: "passkey", name: "Work laptop" } }, "You added a passkey, Work laptop"],
  [{ ...aside, action: "factor.removed", actor: person, detail: { factor: "passkey" } }, "You removed a passkey"],
  [{ ...aside, action: "factor.recovery_code_used", actor: person, detail: { left: 9 } }, "You used a recovery code"],
  [{ ...aside, action: "session.reauthenticated", actor: person, detail: { by: "password" } }, "You showed a password to go on"],
  [{ ...aside, action: "session.reauthentication_failed", actor: person, detail: { by: "totp" } }, "You gave a code of an authenticator app that is not right"],
  [{ ...aside, action: "account.locked", actor: system, detail: { method: "recovery_code" } }, "After too many wrong attempts, a recovery code is not looked at for a while"],
  [{ ...aside, action: "password.changed", actor: person, outcome: "failed" }, "You gave a wrong password to change it"],
  [{ ...aside, action: "password.reset", actor: system }, "A new password was set by whoever runs this Keybearer"],
  [{ ...aside, action: "password.reset", actor: person }, "You set a new password through a mail"],
  [{ ...aside, action: "password.reset_requested", actor: person, detail: { account: "bob@example.com" } }, "Somebody asked for a new password for bob@example.com"],
  [{ ...aside, action: "sessions.ended_not_me", actor: person }, 'You said "this wasn\'t me", so all sessions ended'],
  [{ ...aside, action: "sign_in", actor: person, provider: "email" }, "You signed in with a mail"],
  [{ ...aside, action: "api_key.created", actor: person, detail: { name: "nightly" } }, "You made the API key nightly"],
  [{ ...aside, action: "sign_in", actor: { ...person, id: "other" }, provider: "github" }, "Alice signed in with GitHub"],
  [{ ...aside, action: "sign_in.failed", actor: system, provider: "github", outcome: "failed", code: "consent_denied" }, "A sign-in with GitHub failed: the answer at the provider was no"],
  [{ action: "connection.created", actor: person }, "You connected Spotify (alice)"],
  [{ action: "connection.refreshed", actor: system }, "Keybearer refreshed access to Spotify (alice)"],
  [{ action: "connection.needs_reconnect", actor: system }, "Spotify (alice) needs you to reconnect it"],
  [{ ...aside, action: "grant.created", actor: person, detail: { agent: "demo" } }, "You created a grant for demo"],
  [{ ...aside, action: "grant.created", actor: person, detail: { agent: 7 } }, "You created a grant"],
  [{ ...aside, action: "session.ended", actor: person, detail: { device: "Firefox on Linux" } }, "You ended the session of Firefox on Linux"],
  [{ ...aside, action: "something.new", actor: system }, "Keybearer did something.new"],
];

describe("sentence", () => {
  it.each(told)("%j reads: %s", (entry, words) => {
    expect(plainSentence({ ...blank, ...entry }, context)).toBe(words);
  });

  it("sets the actor and the provider apart", () => {
    const strong = sentence(blank, context).filter((part) => part.strong);
    expect(strong.map((part) => part.text)).toEqual(["demo", "Spotify"]);
  });

  it.each(Object.keys(actionLabels))("has a sentence of its own for %s", (action) => {
    expect(plainSentence({ ...blank, action }, context)).not.toContain(action);
  });
});

it.each([
  [{ outcome: "pending" as const }, "waiting for the answer"],
  [{ outcome: "unknown" as const }, "nobody knows whether it arrived"],
  [{ outcome: "failed" as const, status: null }, "failed"],
  [{ outcome: "failed" as const, status: 502 }, null],
  [{ outcome: "failed" as const, status: null, action: "connection.needs_reconnect" }, null],
  [{ outcome: "ok" as const }, null],
])("the outcome of %j is told as %s", (entry, words) => {
  expect(outcomeWords({ ...blank, ...entry })).toBe(words);
});

it("puts only whole paths into words", () => {
  expect(callWords("spotify", "PUT", "/v1/me/player/play/extra")).toBeNull();
  expect(callWords("github", "PUT", "/v1/me/player/play")).toBeNull();
});
