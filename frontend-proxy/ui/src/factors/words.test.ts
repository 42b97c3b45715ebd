import { describe, expect, it } from "vitest";

import { problemFrom } from "../api/problem";
import type { Way } from "../api/types";
import { codesFile, instead, offered, refusal, tidied } from "./words";

const now = Date.parse("2026-11-23T12:00:00Z");
const ways: Way[] = ["password", "totp", "passkey", "recovery_code"];

describe("refusal", () => {
  it.each(ways)("says what is wrong with a %s", (way) => {
    const said = refusal(problemFrom(403, { code: "factor_wrong" }), way, now);
    expect(said).toMatch(/^That .*\.$/);
    expect(said).not.toContain("factor_wrong");
  });

  it.each(["passkey_refused", "challenge_ended"])("has words for %s", (code) => {
    expect(refusal(problemFrom(409, { code }), "passkey", now)).toMatch(/^[A-Z].*\.$/);
  });

  it.each([
    [null, "Try again later."],
    ["0", "You can try again now."],
    ["900", "Try again in 1"],
  ])("says when a lock of %s seconds ends", (header, words) => {
    const problem = problemFrom(429, { code: "account_locked" }, header);
    expect(refusal(problem, "totp", Date.now() + 1)).toContain(words);
  });

  it("calls a cancelled passkey no error", () => {
    expect(refusal(new DOMException("", "NotAllowedError"), "passkey", now)).toContain("Nothing was changed.");
  });

  it.each([problemFrom(503, {}), new TypeError("broken")])("leaves %s to others", (error) => {
    expect(refusal(error, "totp", now)).toBeNull();
  });
});

it("offers what there is, recovery codes last, and passkeys where the browser can", () => {
  expect(offered(["password", "recovery_code", "passkey", "totp"], true)).toEqual(["totp", "passkey", "password", "recovery_code"]);
  expect(offered(["passkey", "recovery_code"], false)).toEqual(["recovery_code"]);
  expect(Object.keys(instead).sort()).toEqual([...ways].sort());
});

it.each<[Way, string, string]>([
  ["totp", " 492 039 ", "492039"],
  ["recovery_code", " k3m9-x0qa-7vtz\n", "k3m9-x0qa-7vtz"],
  ["password", " as typed ", " as typed "],
])("tidies a %s", (way, typed, sent) => {
  expect(tidied(way, typed)).toBe(sent);
});

it("says in the file what the codes are for", () => {
  const file = codesFile(["k3m9-x0qa-7vtz", "0p2c-8wne-51rd"], "keybearer.example.com", new Date(now));
  expect(file).toContain("keybearer.example.com, made on 2026-11-23");
  expect(file).toContain("\n0p2c-8wne-51rd\n");
});
