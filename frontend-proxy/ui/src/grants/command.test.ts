import { expect, it } from "vitest";

import { demoCommand, lifetimes } from "./command";

it("is the exact command of the agent's documentation", () => {
  expect(demoCommand("http://127.0.0.1:9", "kbg_x")).toBe(
    'KEYBEARER_URL=http://127.0.0.1:9 KEYBEARER_GRANT=kbg_x python -m keybearer_agent.demo "Play Despacito"',
  );
});

it("offers only lifetimes that the API takes", () => {
  for (const { value } of lifetimes) {
    expect(Number(value)).toBeGreaterThanOrEqual(60);
    expect(Number(value)).toBeLessThanOrEqual(2_592_000);
  }
});
