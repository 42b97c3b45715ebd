/** A refusal of the API as an error: what happened, what to do, and the code for support. */
import type { Problem } from "./types";

export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly requestId: string | null;
  readonly docs: string | null;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail, options);
    this.name = "ApiProblem";
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.requestId = problem.request_id === "" ? null : problem.request_id;
    this.docs = /^https?:\/\//.test(problem.type) ? problem.type : null;
  }
}

export function isSignedOut(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 401;
}

/** Whether asking again can help: the network and the server may come back, a refusal stays one. */
export function isPassing(error: unknown): boolean {
  return error instanceof ApiProblem && (error.status === 0 || error.status >= 500 || error.status === 429);
}

export function problemFrom(status: number, body: unknown): ApiProblem {
  const fields = isRecord(body) ? body : {};
  const fallback = unreachable("answer_unreadable");
  return new ApiProblem({
    type: text(fields.type) ?? "about:blank",
    title: text(fields.title) ?? fallback.title,
    status,
    detail: text(fields.detail) ?? sentenceFor(status),
    code: text(fields.code) ?? `http_${status}`,
    request_id: text(fields.request_id) ?? "",
  });
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

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
