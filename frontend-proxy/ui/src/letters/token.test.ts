import { expect, it } from "vitest";

import { tokenIn } from "./token";

it.each([
  ["#token=kbm_abc", "kbm_abc"],
  ["#other=1&token=kbm_abc", "kbm_abc"],
  ["#token=", null],
  ["#kbm_abc", null],
  ["", null],
])("in %j is %j", (hash, token) => {
  expect(tokenIn(hash)).toBe(token);
});
