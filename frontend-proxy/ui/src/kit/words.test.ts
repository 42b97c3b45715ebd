import { describe, expect, it } from "vitest";

import { count, initials, list, localPath } from "./words";

describe("localPath", () => {
  it.each([
    ["/agents?x=1#y", "/agents?x=1#y"],
    ["/", "/"],
    [null, "/connections"],
    ["", "/connections"],
    ["agents", "/connections"],
    ["//evil.example/a", "/connections"],
    ["/\\evil.example", "/connections"],
    ["/\t/evil.example", "/connections"],
    ["https://evil.example", "/connections"],
    ["javascript:alert(1)", "/connections"],
    ["/a/..//evil.example", "/connections"],
  ])("follows %s to %s", (path, followed) => {
    expect(localPath(path)).toBe(followed);
  });
});

it.each([
  [[], ""],
  [["a"], "a"],
  [["a", "b"], "a and b"],
  [["a", "b", "c"], "a, b and c"],
])("lists %j as %s", (words, text) => {
  expect(list(words)).toBe(text);
});

it.each([
  ["Alice Example", "AE"],
  ["demo", "DE"],
  ["night-dj", "ND"],
  ["a@example.com", "AE"],
  ["", ""],
])("shortens %s to %s", (name, letters) => {
  expect(initials(name)).toBe(letters);
});

it("counts one as one", () => {
  expect([count(0, "agent"), count(1, "agent"), count(3, "agent")]).toEqual(["0 agents", "1 agent", "3 agents"]);
});
