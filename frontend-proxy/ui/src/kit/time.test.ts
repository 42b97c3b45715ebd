import { describe, expect, it } from "vitest";

import { dayOf, expiryTone, left, on, relative, type Lifetime, type Tone } from "./time";

const now = Date.parse("2026-11-23T12:00:00Z");
const seconds = (n: number) => new Date(now + n * 1_000).toISOString();
const minutes = (n: number) => seconds(n * 60);
const days = (n: number) => minutes(n * 24 * 60);

describe("relative", () => {
  it.each([
    [seconds(0), "just now"],
    [seconds(3), "just now"],
    [seconds(-12), "12 s ago"],
    [seconds(-59.9), "59 s ago"],
    [minutes(-1), "1 min ago"],
    [minutes(-59), "59 min ago"],
    [minutes(-60), "1 h ago"],
    [days(-1), "1 day ago"],
    [days(-6), "6 days ago"],
    [days(-12), "11 Nov"],
    [days(-400), "19 Oct 2025"],
    [minutes(42), "in 42 min"],
  ])("says %s as %s", (at, words) => {
    expect(relative(at, now)).toBe(words);
  });
});

describe("left", () => {
  it.each([
    [seconds(42), "42 s left"],
    [minutes(90), "1 h left"],
    [days(30), "30 days left"],
    [days(161), "5 months left"],
    [seconds(0), "expired"],
    [days(-2), "expired"],
  ])("says %s as %s", (at, words) => {
    expect(left(at, now)).toBe(words);
  });
});

describe("expiryTone", () => {
  it.each<[Lifetime, string, string | undefined, Tone]>([
    ["consent", days(31), undefined, "calm"],
    ["consent", days(30), undefined, "amber"],
    ["consent", days(8), undefined, "amber"],
    ["consent", days(7), undefined, "red"],
    ["consent", days(-1), undefined, "red"],
    ["grant", minutes(42), minutes(-18), "calm"],
    ["grant", minutes(15), minutes(-45), "amber"],
    ["grant", minutes(6), minutes(-54), "red"],
    ["grant", days(6), days(-1), "calm"],
    ["grant", days(1), days(-6), "amber"],
    ["grant", minutes(30), undefined, "calm"],
    ["grant", minutes(5), undefined, "red"],
  ])("is %s %s %s: %s", (kind, expires, created, tone) => {
    expect(expiryTone(kind, expires, now, created)).toBe(tone);
  });

  it("turns amber before it turns red, whatever the lifetime", () => {
    const order: Tone[] = ["calm", "amber", "red"];
    for (const kind of ["grant", "consent"] as const) {
      const tones = Array.from({ length: 400 }, (_, step) => expiryTone(kind, days(40), now + step * 0.1 * 86_400_000, days(0)));
      expect([...new Set(tones)]).toEqual(order);
    }
  });
});

describe("dates", () => {
  it("names the year only where it is another one", () => {
    expect(on("2027-05-03T10:00:00Z", now)).toBe("3 May 2027");
    expect(on("2026-05-03T10:00:00Z", now)).toBe("3 May");
  });

  it("puts entries under their day", () => {
    expect(dayOf(seconds(-60), now)).toBe("Today");
    expect(dayOf(days(-1), now)).toBe("Yesterday");
    expect(dayOf(days(-2), now)).toBe("Saturday 21 November");
    expect(dayOf(days(-700), now)).toMatch(/2024$/);
  });
});
