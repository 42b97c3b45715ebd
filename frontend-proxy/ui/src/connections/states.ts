/** A connection's state in words: the one beside the shape, and the sentence that says what it means. */
import type { Connection, ConnectionState, Disconnected } from "../api/types";
import type { StateTone } from "../kit/State";
import { on } from "../kit/time";
import { count } from "../kit/words";

const words: Record<string, { word: string; tone: StateTone }> = {
  active: { word: "Active", tone: "green" },
  expiring: { word: "Expires soon", tone: "amber" },
  needs_reconnect: { word: "Needs reconnect", tone: "red" },
  revoked: { word: "Disconnected", tone: "grey" },
};

/** A state that this interface has not heard of yet is shown as it is named. */
export function stateWords(state: ConnectionState): { word: string; tone: StateTone } {
  return words[state] ?? { word: state.replaceAll("_", " "), tone: "grey" };
}

const reasons: Record<string, (title: string) => string> = {
  invalid_grant: (title) => `${title} no longer accepts the consent that you gave.`,
  rotation_lost: (title) => `${title} changed its token and the answer was lost on the way.`,
  scope_reduced: (title) => `${title} now allows less than you had given.`,
  consent_expired: (title) => `The time that ${title} gives a consent is over.`,
};

/** What the state means for the person, or null where there is nothing to say. */
export function stateSentence(connection: Connection, now: number): string | null {
  const { title, state, grant_expires_at: ends } = connection;
  if (state === "active") return ends === null ? null : `${title} will ask you to sign in again on ${on(ends, now)}.`;
  if (state === "expiring") {
    return `${title} will ask you to sign in again ${ends === null ? "soon" : `on ${on(ends, now)}`}. Reconnect before, and nothing stops.`;
  }
  if (state === "revoked") return `Nobody can act as you on ${title} through this connection.`;
  const reason = reasons[connection.state_reason ?? ""]?.(title) ?? `${title} refused the last refresh.`;
  return `${reason} Agents are refused until you reconnect; their grants stay.`;
}

export function needsPerson(state: ConnectionState): boolean {
  return state === "needs_reconnect" || state === "expiring";
}

/** What disconnecting stops: "3 agents lose Spotify: demo, mail and night." */
export function disconnectSentence(title: string, agents: readonly string[]): string {
  const [only] = agents;
  if (only === undefined) return `No agent uses ${title} now.`;
  if (agents.length === 1) return `1 agent loses ${title}: ${only}.`;
  return `${agents.length} agents lose ${title}: ${agents.slice(0, -1).join(", ")} and ${agents[agents.length - 1] ?? ""}.`;
}

/** What is true after a disconnect, also where the provider could not be told. */
export function leftWords(title: string, { revoked_upstream: told, grants_ended: ended }: Disconnected): string {
  const grants = ended === 0 ? "" : ` ${count(ended, "grant")} ended.`;
  const upstream = told
    ? `${title} was told as well.`
    : `${title} could not be told; you may want to remove Keybearer in its own settings too.`;
  return `${title} is disconnected and its tokens are destroyed.${grants} ${upstream}`;
}
