/** The ledger in words: each entry is one sentence, made of plain and strong parts. */
import type { LedgerEntry } from "../api/types";
import { wayWords } from "../signin/providerTitle";
import { callWords } from "./calls";

export interface Part {
  text: string;
  strong?: boolean;
}

type Telling = (entry: LedgerEntry, names: Names) => Part[];

interface Names {
  actor: Part;
  provider: Part;
  account: Part[];
}

export interface Context {
  /** The person who reads: their own entries say "You". */
  me: string | null;
  titleOf: (provider: string) => string;
}

export function sentence(entry: LedgerEntry, context: Context): Part[] {
  const names = namesOf(entry, context);
  const tell = tellings[entry.action];
  return tell === undefined ? [names.actor, plain(` did ${entry.action}`)] : tell(entry, names);
}

export function plainSentence(entry: LedgerEntry, context: Context): string {
  return sentence(entry, context)
    .map((part) => part.text)
    .join("");
}

/** What came of it, where that is not a matter of course: shown after the sentence. */
export function outcomeWords(entry: LedgerEntry): string | null {
  if (entry.outcome === "pending") return "waiting for the answer";
  if (entry.outcome === "unknown") return "nobody knows whether it arrived";
  if (entry.action === "proxy.call" && entry.outcome === "failed" && entry.status === null) return "failed";
  return null;
}

/** Actions as the filter offers them, in the order in which people look for them. */
export const actionLabels: Record<string, string> = {
  "proxy.call": "Calls by agents",
  "proxy.denied": "Refused calls",
  "grant.created": "Grants created",
  "grant.revoked": "Grants revoked",
  "connection.created": "Accounts connected",
  "connection.reconnected": "Accounts reconnected",
  "connection.failed": "Failed connections",
  "connection.refreshed": "Token refreshes",
  "connection.refresh_failed": "Failed refreshes",
  "connection.needs_reconnect": "Reconnect needed",
  "connection.reminder": "Expiry reminders",
  "connection.disconnected": "Accounts disconnected",
  sign_in: "Sign-ins",
  "sign_in.failed": "Failed sign-ins",
  sign_out: "Sign-outs",
  "session.ended": "Sessions ended",
  "sessions.ended": "All other sessions ended",
  "sessions.ended_not_me": "Reported as somebody else",
  "session.token_reused": "Refresh tokens used twice",
  "session.reauthenticated": "Step-ups",
  "session.reauthentication_failed": "Failed step-ups",
  "account.locked": "Lockouts",
  "factor.added": "Second factors added",
  "factor.removed": "Second factors removed",
  "factor.recovery_codes_renewed": "Recovery codes renewed",
  "factor.recovery_code_used": "Recovery codes used",
  "account.registered": "Registrations",
  "account.created": "Accounts made by an operator",
  "account.invited": "Invitations",
  "account.configured": "Admins made from settings",
  "account.disabled": "Accounts disabled",
  "account.enabled": "Accounts enabled again",
  "account.role_changed": "Roles changed",
  "account.verified": "Addresses confirmed",
  "password.changed": "Password changes",
  "password.reset_requested": "New passwords asked for",
  "password.reset": "New passwords set",
  "api_key.created": "API keys made",
  "api_key.revoked": "API keys revoked",
  "identity.linked": "Sign-ins linked",
  "identity.unlinked": "Sign-ins unlinked",
  "account.erased": "Account erased",
};

const tellings: Record<string, Telling> = {
  "proxy.call": (entry, { actor, provider, account }) => [actor, ...calling(entry, provider), ...account],
  "proxy.denied": (entry, { actor, provider, account }) => [
    actor,
    plain(" was refused on "),
    provider,
    ...account,
    plain(because(entry)),
  ],
  sign_in: (_, { actor, provider }) => [actor, plain(" signed in with "), provider],
  "sign_in.failed": (entry, { provider }) => [plain("A sign-in with "), provider, plain(" failed"), plain(because(entry))],
  sign_out: (_, { actor }) => [actor, plain(" signed out")],
  "session.ended": (entry, { actor }) => [actor, plain(` ended the session${on(detail(entry, "device"))}`)],
  "sessions.ended": (_, { actor }) => [actor, plain(" ended all other sessions")],
  "sessions.ended_not_me": (_, { actor }) => [actor, plain(" said \"this wasn't me\", so all sessions ended")],
  "session.token_reused": () => [plain("A refresh token was used twice, so its sign-in was ended")],
  "session.reauthenticated": (entry, { actor }) => [actor, plain(` showed ${factorWords(detail(entry, "by"))} to go on`)],
  "session.reauthentication_failed": (entry, { actor }) => [
    actor,
    plain(` gave ${factorWords(detail(entry, "by"))} that is not right`),
  ],
  "account.locked": (entry) => [plain(`After too many wrong attempts, ${factorWords(detail(entry, "method"))} is not looked at for a while`)],
  "factor.added": (entry, { actor }) => [actor, plain(` added ${kindWords(entry)}${called(entry)}`)],
  "factor.removed": (entry, { actor }) => [actor, plain(` removed ${kindWords(entry)}`)],
  "factor.recovery_codes_renewed": (_, { actor }) => [actor, plain(" made new recovery codes")],
  "factor.recovery_code_used": (_, { actor }) => [actor, plain(" used a recovery code")],
  "account.registered": (_, { actor }) => [actor, plain(" registered")],
  "account.created": (entry) => [plain(`An account was made${forWhom(entry)}`)],
  "account.verified": (_, { actor }) => [actor, plain(" confirmed the address")],
  "account.invited": (entry) => [plain(`An invitation was made${forWhom(entry)}`)],
  "account.configured": () => [plain("The admin's account follows the settings of this Keybearer")],
  "account.disabled": () => [plain("The account was disabled by whoever runs this Keybearer")],
  "account.enabled": () => [plain("The account was enabled again by whoever runs this Keybearer")],
  "account.role_changed": (entry) => [plain(`The role became ${detail(entry, "role") ?? "another"}`)],
  "password.changed": (entry, { actor }) =>
    entry.outcome === "failed" ? [actor, plain(" gave a wrong password to change it")] : [actor, plain(" changed the password")],
  "password.reset_requested": (entry) => [plain(`Somebody asked for a new password${forWhom(entry)}`)],
  "password.reset": (entry, { actor }) =>
    entry.actor.kind === "system"
      ? [plain("A new password was set by whoever runs this Keybearer")]
      : [actor, plain(" set a new password through a mail")],
  "api_key.created": (entry, { actor }) => [actor, plain(` made the API key ${detail(entry, "name") ?? ""}`.trimEnd())],
  "api_key.revoked": (entry, { actor }) => [actor, plain(` revoked the API key ${detail(entry, "name") ?? ""}`.trimEnd())],
  "identity.linked": (_, { actor, provider }) => [actor, plain(" added "), provider, plain(" as a way to sign in")],
  "identity.unlinked": (_, { actor, provider }) => [actor, plain(" removed "), provider, plain(" as a way to sign in")],
  "connection.created": (_, { actor, provider, account }) => [actor, plain(" connected "), provider, ...account],
  "connection.reconnected": (_, { actor, provider, account }) => [actor, plain(" reconnected "), provider, ...account],
  "connection.failed": (entry, { provider }) => [provider, plain(" was not connected"), plain(because(entry))],
  "connection.refreshed": (_, { actor, provider, account }) => [actor, plain(" refreshed access to "), provider, ...account],
  "connection.refresh_failed": (entry, { actor, provider, account }) => [
    actor,
    plain(" could not refresh access to "),
    provider,
    ...account,
    plain(because(entry)),
  ],
  "connection.needs_reconnect": (_, { provider, account }) => [provider, ...account, plain(" needs you to reconnect it")],
  "connection.reminder": (_, { provider, account }) => [provider, ...account, plain(" will ask you to sign in again soon")],
  "connection.disconnected": (_, { actor, provider, account }) => [actor, plain(" disconnected "), provider, ...account],
  "grant.created": (entry, { actor }) => [actor, plain(" created a grant"), ...agent(entry, " for ")],
  "grant.revoked": (entry, { actor }) => [actor, plain(" revoked the grant"), ...agent(entry, " of ")],
  "account.erased": (_, { actor }) => [actor, plain(" erased the account")],
};

function calling(entry: LedgerEntry, provider: Part): Part[] {
  const { method, path } = entry;
  if (method === null || path === null) return [plain(" called "), provider];
  const words = callWords(entry.provider ?? "", method, path);
  if (words !== null && entry.outcome !== "failed") return [plain(` ${words} `), provider];
  const verb = entry.outcome === "failed" ? "tried" : "called";
  return [plain(` ${verb} ${method} ${path.split("?")[0] ?? path} on `), provider];
}

function namesOf(entry: LedgerEntry, { me, titleOf }: Context): Names {
  const account = entry.connection?.account ?? null;
  return {
    actor: strong(actorName(entry, me)),
    provider: strong(entry.provider === null ? "a provider" : wayWords(entry.provider, titleOf)),
    account: account === null ? [] : [plain(` (${account})`)],
  };
}

function actorName({ actor }: LedgerEntry, me: string | null): string {
  if (actor.kind === "system") return "Keybearer";
  if (actor.kind === "person") return actor.id !== null && actor.id === me ? "You" : (actor.name ?? "Somebody");
  return actor.name ?? "An agent";
}

function factorWords(kind: string | null): string {
  return factors[kind ?? ""] ?? "a factor";
}

const factors: Record<string, string> = {
  totp: "a code of an authenticator app",
  passkey: "a passkey",
  password: "a password",
  recovery_code: "a recovery code",
};

function kindWords(entry: LedgerEntry): string {
  const kind = detail(entry, "factor");
  return kind === "totp" ? "an authenticator app" : factorWords(kind);
}

function called(entry: LedgerEntry): string {
  const name = detail(entry, "name");
  return name === null ? "" : `, ${name}`;
}

function forWhom(entry: LedgerEntry): string {
  const account = detail(entry, "account");
  return account === null ? "" : ` for ${account}`;
}

function because(entry: LedgerEntry): string {
  const why = entry.code ?? null;
  return why === null ? "" : `: ${codeWords[why] ?? why.replaceAll("_", " ")}`;
}

const codeWords: Record<string, string> = {
  credentials_wrong: "the address or the password was wrong",
  factor_required: "a second factor was missing",
  factor_wrong: "the second factor was not right",
  passkey_refused: "the passkey is not known here",
  account_locked: "too many wrong attempts came before",
  password_reset_needed: "the password is void until another one is chosen",
  letter_ended: "the link of the mail was used, or is over",
  code_wrong: "the code of the mail was wrong",
  rate_limited: "it was tried too often",
  consent_denied: "the answer at the provider was no",
  provider_unavailable: "the provider did not answer",
  provider_timeout: "the provider took too long",
  provider_connection_lost: "the provider broke off",
  flow_expired: "it took too long",
  flow_unknown: "it was not started in that browser",
  flow_replayed: "the answer was already used",
  link_required: "the email has an account that signs in another way",
  identity_taken: "that account belongs to somebody else here",
  invalid_grant: "the provider no longer accepts the consent",
  needs_reconnect: "the connection needs you first",
  connection_revoked: "the account is disconnected",
  connection_not_found: "its grant does not reach that account",
  connection_ambiguous: "its grant reaches several accounts, and it named none",
  grant_ended: "its grant has ended",
  scope_not_granted: "its grant does not reach that far",
  not_allowed: "that is not among what agents may do there",
  approval_needed: "that needs your approval",
  address_refused: "the address is not one that agents may reach",
  body_too_large: "it sent too much",
  request_invalid: "the request made no sense",
  internal_error: "Keybearer made a mistake",
};

function agent(entry: LedgerEntry, before: string): Part[] {
  const name = detail(entry, "agent");
  return name === null ? [] : [plain(before), strong(name)];
}

function detail(entry: LedgerEntry, key: string): string | null {
  const value = entry.detail?.[key];
  return typeof value === "string" ? value : null;
}

function on(device: string | null): string {
  return device === null ? "" : ` of ${device}`;
}

function plain(text: string): Part {
  return { text };
}

function strong(text: string): Part {
  return { text, strong: true };
}
