import { describe, expect, it } from "vitest";

import { flowCodes, tripWords, type Trip, type Words } from "./words";

const contract = [
  "consent_denied", "provider_error", "flow_replayed", "flow_unknown", "flow_expired", "link_required",
  "identity_taken", "id_token_invalid", "provider_unavailable", "session_mismatch", "user_disabled",
];

it("has words for every code of the contract", () => {
  expect([...flowCodes].sort()).toEqual(contract.sort());
});

describe.each<Trip>(["sign-in", "connect"])("on a %s trip", (trip) => {
  it.each(contract)("%s says what happened, what was lost and what to do", (code) => {
    const words = tripWords(code, "Spotify", trip);
    for (const part of ["happened", "lost", "next"] as const satisfies (keyof Words)[]) {
      expect(words[part], part).toMatch(/^[A-Z].*\.$/);
    }
    expect(words.title.length).toBeGreaterThan(8);
    expect(Object.values(words).join(" ")).not.toContain(code);
  });

  it("tells the codes apart", () => {
    const titles = contract.map((code) => tripWords(code, "Spotify", trip).title);
    expect(new Set(titles).size).toBe(contract.length);
  });

  it.each(["never_heard_of", "toString", "__proto__", ""])("still has words for %j", (code) => {
    expect(tripWords(code, "Spotify", trip).next).toContain("code");
  });
});
