/** The one way to the API: same-origin JSON, with refusals as typed problems. */
import { ApiProblem, hasCode, problemFrom, unreachable } from "./problem";
import { stepUp } from "./stepUp";

export type Query = Record<string, string | number | boolean | null | undefined>;

interface Options {
  body?: unknown;
  query?: Query;
  signal?: AbortSignal;
}

export function get<Answer>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Answer> {
  return call<Answer>("GET", path, signal ? { query, signal } : { query });
}

export function post<Answer>(path: string, body: unknown = {}): Promise<Answer> {
  return call<Answer>("POST", path, { body });
}

export function remove<Answer>(path: string, options: Options = {}): Promise<Answer> {
  return call<Answer>("DELETE", path, options);
}

export function address(path: string, query: Query = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === null || value === undefined || value === "" ? [] : [[name, String(value)]],
  );
  const search = new URLSearchParams(pairs).toString();
  return `/api${path}${search ? `?${search}` : ""}`;
}

function call<Answer>(method: string, path: string, { query, ...rest }: Options): Promise<Answer> {
  return request<Answer>(method, address(path, query), rest);
}

/** For a whole address; the functions above are what pages use. What asks for proof first goes again once it was given. */
export async function request<Answer>(method: string, url: string, options: Omit<Options, "query"> = {}): Promise<Answer> {
  try {
    return await exchange<Answer>(method, url, options);
  } catch (error) {
    if (!hasCode(error, "reauthenticate") || !(await stepUp(error))) throw error;
    return await exchange<Answer>(method, url, options);
  }
}

async function exchange<Answer>(method: string, url: string, { body, signal }: Omit<Options, "query">): Promise<Answer> {
  // A session comes as a cookie, and no token to a script.
  const headers: Record<string, string> = { Accept: "application/json, application/problem+json", "Keybearer-Session": "cookie" };
  const init: RequestInit = { method, headers, credentials: "same-origin", redirect: "error" };
  if (signal) init.signal = signal;
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  const response = await send(url, init);
  const text = await response.text();
  const answer = parse(text);
  if (!response.ok) throw problemFrom(response.status, answer, response.headers.get("Retry-After"));
  if (text !== "" && answer === undefined) throw new ApiProblem(unreachable("answer_unreadable"));
  // The generated types are the promise of the API's own document; nothing checks them again at run time.
  return answer as Answer;
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiProblem(unreachable("network_unreachable"), { cause });
  }
}

function parse(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
