import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { address, request } from "./http";
import { ApiProblem, isPassing, isSignedOut, problemFrom } from "./problem";

describe("address", () => {
  it.each([
    ["/ledger", {}, "/api/ledger"],
    ["/ledger", { action: "proxy.call", provider: "", after: null, limit: 50 }, "/api/ledger?action=proxy.call&limit=50"],
    ["/auth/google/start", { return_to: "/a?b=c&d" }, "/api/auth/google/start?return_to=%2Fa%3Fb%3Dc%26d"],
  ])("%s %j is %s", (path, query, url) => {
    expect(address(path, query)).toBe(url);
  });
});

describe("problemFrom", () => {
  it("keeps what the API said", () => {
    const problem = problemFrom(409, { type: "https://k.example/docs#c", title: "T", detail: "Pick one.", code: "connection_ambiguous", request_id: "r1" });
    expect(problem).toMatchObject({ status: 409, code: "connection_ambiguous", message: "Pick one.", requestId: "r1", docs: "https://k.example/docs#c" });
  });

  it.each([
    [404, undefined],
    [429, "text"],
    [502, { detail: 7, code: null }],
    [400, null],
  ])("makes a sentence of a bare %i", (status, body) => {
    const problem = problemFrom(status, body);
    expect(problem.message).toMatch(/^[A-Z].*\.$/);
    expect(problem.code).toBe(`http_${status}`);
    expect(problem.docs).toBeNull();
  });

  it("never makes a link of another scheme", () => {
    expect(problemFrom(400, { type: "javascript:alert(1)" }).docs).toBeNull();
  });
});

it.each([
  [401, true, false],
  [403, false, false],
  [429, false, true],
  [503, false, true],
])("a %i means signed out %s, worth another try %s", (status, out, passing) => {
  const problem = problemFrom(status, {});
  expect([isSignedOut(problem), isPassing(problem)]).toEqual([out, passing]);
});

describe("over the wire", () => {
  let server: Server;
  let origin: string;

  beforeAll(async () => {
    server = createServer(({ url }, response) => {
      if (url === "/api/empty") response.writeHead(204).end();
      else if (url === "/api/html") response.writeHead(200).end("<html>");
      else response.writeHead(503, { "Content-Type": "application/problem+json" }).end('{"code":"provider_unavailable","detail":"Spotify did not answer."}');
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(() => new Promise((done) => server.close(done)));

  it.each([
    ["/api/empty", null],
    ["/api/html", "answer_unreadable"],
    ["/api/other", "provider_unavailable"],
  ])("%s ends as %s", async (path, code) => {
    const ending = await request("GET", `${origin}${path}`).then(
      () => null,
      (error: unknown) => (error instanceof ApiProblem ? error.code : "something else"),
    );
    expect(ending).toBe(code);
  });

  it("says so when nobody answers", async () => {
    await expect(request("GET", "http://127.0.0.1:1/api/x")).rejects.toMatchObject({ code: "network_unreachable" });
  });
});
