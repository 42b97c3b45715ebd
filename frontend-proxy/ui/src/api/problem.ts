/** A refusal of the API as an error: what happened, what to do, and the code for support. */
import type { Problem, Way } from "./types";

/** What some problems say besides. */
interface More {
  /** How the person can show that it is them. */
  factors?: readonly Way[];
  /** What `reauthenticate` wants first. */
  next?: string | null;
  /** When it is worth another try. */
  retryAt?: string | null;
}

export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly requestId: string | null;
  readonly docs: string | null;
  readonly factors: readonly Way[];
  readonly next: string | null;
  readonly retryAt: string | null;

  constructor(problem: Problem, { factors = [], next = null, retryAt = null, ...options }: More & ErrorOptions = {}) {
    super(problem.detail, options);
    this.name = "ApiProblem";
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.requestId = problem.request_id === "" ? null : problem.request_id;
    this.docs = /^https?:\/\//.test(problem.type) ? problem.type : null;
    this.factors = factors;
    this.next = next;
    this.retryAt = retryAt;
  }
}

export function isSignedOut(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 401;
}

/** Whether asking again can help: the network and the server may come back, a refusal stays one. */
export function isPassing(error: unknown): boolean {
  return error instanceof ApiProblem && (error.status === 0 || error.status >= 500 || error.status === 429);
}

/** `retryAfter` is the header of that name. */
export function problemFrom(status: number, body: unknown, retryAfter: string | null = null): ApiProblem {
  const fields = isRecord(body) ? body : {};
  const fallback = unreachable("answer_unreadable");
  const problem = {
    type: text(fields.type) ?? "about:blank",
    title: text(fields.title) ?? fallback.title,
    status,
    detail: text(fields.detail) ?? sentenceFor(status),
    code: text(fields.code) ?? `http_${status}`,
    request_id: text(fields.request_id) ?? "",
  };
  const seconds = /^\d{1,9}$/.test(retryAfter ?? "") ? Number(retryAfter) : null;
  return new ApiProblem(problem, {
    factors: Array.isArray(fields.factors) ? fields.factors.filter(isWay) : [],
    next: text(fields.next) ?? null,
    retryAt: seconds === null ? null : new Date(Date.now() + seconds * 1_000).toISOString(),
  });
}

export function hasCode(error: unknown, ...codes: string[]): error is ApiProblem {
  return error instanceof ApiProblem && codes.includes(error.code);
}

export function unreachable(code: "network_unreachable" | "answer_unreadable"): Problem {
  const detail =
    code === "network_unreachable"
      ? "Keybearer did not answer. Check your network and try again."
      : "Something between you and Keybearer gave an answer that makes no sense. Try again in a moment.";
  return { type: "about:blank", title: "No answer", status: 0, detail, code, request_id: "" };
}

function sentenceFor(status: number): string {
  if (status === 404) return "That is not here, or no longer here.";
  if (status === 429) return "That was too often. Wait a moment and try again.";
  if (status >= 500) return "Keybearer could not do that just now. Try again in a moment.";
  return "Keybearer refused that request.";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isWay(value: unknown): value is Way {
  return value === "totp" || value === "passkey" || value === "password" || value === "recovery_code";
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
