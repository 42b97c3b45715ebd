import { expect, it } from "vitest";

import { problemFrom } from "./problem";
import { answerStepUps, stepUp } from "./stepUp";

const refusal = problemFrom(403, { code: "reauthenticate", next: "reauthenticate", factors: ["totp", "passkey", 7, "blood"] });

it("knows of the ways that the API names only those that exist", () => {
  expect(refusal.factors).toEqual(["totp", "passkey"]);
});

it("lets the refusal stand where nobody can be asked", async () => {
  expect(await stepUp(refusal)).toBe(false);
});

it("asks once for all that wait, and again for the next", async () => {
  let asked = 0;
  let answer: (shown: boolean) => void = () => undefined;
  const end = answerStepUps(() => {
    asked += 1;
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  const waiting = [stepUp(refusal), stepUp(refusal)];
  answer(true);
  expect(await Promise.all(waiting)).toEqual([true, true]);
  const next = stepUp(refusal);
  answer(false);
  expect([await next, asked]).toEqual([false, 2]);
  end();
  expect(await stepUp(refusal)).toBe(false);
});
