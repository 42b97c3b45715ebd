/** What a failed trip to a provider says: what happened, whether anything was lost, what to do. */
export type Trip = "sign-in" | "connect";

export interface Words {
  title: string;
  happened: string;
  lost: string;
  next: string;
}

export const flowCodes = [
  "consent_denied",
  "provider_error",
  "flow_replayed",
  "flow_unknown",
  "flow_expired",
  "link_required",
  "identity_taken",
  "id_token_invalid",
  "provider_unavailable",
  "session_mismatch",
  "user_disabled",
] as const;

type FlowCode = (typeof flowCodes)[number];

export function tripWords(code: string, provider: string, trip: Trip): Words {
  return isKnown(code) ? known[code](provider, trip) : unknown(provider, trip);
}

const untouched = "Nothing was changed.";
const goal: Record<Trip, string> = { "sign-in": "signed in", connect: "connected" };

const known: Record<FlowCode, (provider: string, trip: Trip) => Words> = {
  consent_denied: (provider, trip) => ({
    title: `You said no at ${provider}`,
    happened: `${provider} asked whether Keybearer may go on, and the answer was no.`,
    lost: trip === "connect" ? `${untouched} What was connected before still is.` : untouched,
    next: "If that was not what you meant, try again and allow it.",
  }),
  provider_error: (provider) => ({
    title: `${provider} reported an error`,
    happened: `${provider} sent you back with an error instead of an answer.`,
    lost: untouched,
    next: "Try again. If it happens twice, whoever runs this Keybearer should check its settings at the provider.",
  }),
  flow_replayed: (_, trip) => ({
    title: "That answer was already used",
    happened: "This page was opened a second time with an answer that counts once, as happens with Back or Reload.",
    lost: `If you are ${goal[trip]} already, you still are.`,
    next: "Start again from here.",
  }),
  flow_unknown: (provider) => ({
    title: "This was not started in this browser",
    happened: `The answer from ${provider} belongs to no attempt of this browser. It may come from another browser, or from a link that somebody sent you.`,
    lost: `${untouched} Nobody got in.`,
    next: "Start again here, and finish in the same browser.",
  }),
  flow_expired: (provider) => ({
    title: "That took too long",
    happened: `An attempt is good for ten minutes, and ${provider} answered after them.`,
    lost: untouched,
    next: "Try again; nothing needs to be typed twice.",
  }),
  link_required: (provider) => ({
    title: "Your email already has an account here",
    happened: `${provider} says the same email as an account that signs in another way. An email alone does not prove that both are you, so they were not joined.`,
    lost: `${untouched} Your account is as it was.`,
    next: `Sign in the way you did first, then add ${provider} under Account.`,
  }),
  identity_taken: (provider) => ({
    title: `That ${provider} account is someone else's here`,
    happened: `The ${provider} account that you chose signs in to another Keybearer account.`,
    lost: untouched,
    next: `Choose another ${provider} account, or sign in with this one and unlink it there first.`,
  }),
  id_token_invalid: (provider) => ({
    title: `${provider}'s proof did not hold`,
    happened: `What ${provider} sent to prove who you are did not pass every check.`,
    lost: `${untouched} Nobody got in.`,
    next: "Try again. If it happens twice, tell whoever runs this Keybearer: a clock or a setting may be wrong.",
  }),
  provider_unavailable: (provider) => ({
    title: `${provider} did not answer`,
    happened: `${provider} could not be reached, or was too slow.`,
    lost: untouched,
    next: `Try again in a minute, or see ${provider}'s status page.`,
  }),
  session_mismatch: (_, trip) => ({
    title: "You are signed in as somebody else now",
    happened: "Between the start and the end of this attempt, this browser signed out or changed its account.",
    lost: trip === "connect" ? `${untouched} Nothing was connected to either account.` : untouched,
    next: "Check the account that you are signed in with, and start again.",
  }),
  user_disabled: () => ({
    title: "This account is switched off",
    happened: "An administrator has switched this account off.",
    lost: "What the account holds is still there.",
    next: "Ask an administrator to switch it on again.",
  }),
};

function unknown(provider: string, trip: Trip): Words {
  return {
    title: trip === "sign-in" ? "You were not signed in" : `${provider} was not connected`,
    happened: `The way to ${provider} and back ended somewhere unexpected.`,
    lost: untouched,
    next: "Try again. If it happens twice, send the code below to whoever runs this Keybearer.",
  };
}

function isKnown(code: string): code is FlowCode {
  return Object.hasOwn(known, code);
}
