/** What second factors are called, and what is said when one is not taken. Pure: the clock is an argument. */
import { ApiProblem } from "../api/problem";
import type { Way } from "../api/types";
import { relative } from "../kit/time";

/** The order in which they are offered: what is asked for most, and last what is used up by using it. */
const order: readonly Way[] = ["totp", "passkey", "password", "recovery_code"];

export const instead: Record<Way, string> = {
  totp: "Use the authenticator app instead",
  passkey: "Use a passkey instead",
  password: "Use the password instead",
  recovery_code: "Use a recovery code instead",
};

export function offered(ways: readonly Way[], passkeys: boolean): Way[] {
  return order.filter((way) => ways.includes(way) && (way !== "passkey" || passkeys));
}

const wrong: Record<Way, string> = {
  totp: "That code is not right, or was used before. Wait for the app's next one.",
  passkey: "That passkey is not one of this account.",
  password: "That password is not right.",
  recovery_code: "That recovery code is not right, or was used before. Each works once.",
};

/** What to say beside the field that was refused; null for what is no matter of the field. */
export function refusal(error: Error, way: Way, now: number): string | null {
  if (error instanceof DOMException) {
    // What the browser throws tells cancelling, waiting too long and having none not apart, on purpose.
    return "No passkey was chosen. Nothing was changed.";
  }
  if (!(error instanceof ApiProblem)) return null;
  switch (error.code) {
    case "factor_wrong":
      return wrong[way];
    case "account_locked":
      return `Too many wrong attempts came for this account. ${again(error.retryAt, now)}`;
    case "passkey_refused":
      return "This passkey is not known here. It may have been removed, or belong to another address.";
    case "challenge_ended":
      return "That took too long. Choose the passkey once more.";
    default:
      return null;
  }
}

function again(at: string | null, now: number): string {
  if (at === null) return "Try again later.";
  return Date.parse(at) <= now ? "You can try again now." : `Try again ${relative(at, now)}.`;
}

/** As people copy it: apps show codes in two groups. */
export function tidied(way: Way, typed: string): string {
  return way === "totp" ? typed.replace(/\s/g, "") : way === "recovery_code" ? typed.trim() : typed;
}

/** The file that recovery codes are kept in. */
export function codesFile(codes: readonly string[], host: string, made: Date): string {
  const day = made.toISOString().slice(0, 10);
  return `Recovery codes for ${host}, made on ${day}.\nEach works once, in place of a second factor.\n\n${codes.join("\n")}\n`;
}

export function kindWords(kind: string): string {
  return kind === "totp" ? "Authenticator app" : "Passkey";
}
