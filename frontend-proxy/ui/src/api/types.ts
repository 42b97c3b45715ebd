/** Every name that the rest of the interface takes from the contract, in one place: a renamed schema is one edit. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Me = Schemas["Me"];
export type Provider = Schemas["Provider"];
export type ProviderField = Schemas["ProviderField"];
export type Connection = Schemas["Connection"];
export type ConnectionState = Connection["state"];
export type Disconnected = Schemas["Disconnected"];
export type Grant = Schemas["Grant"];
export type GrantConnection = Grant["connections"][number];
export type GrantRequest = Schemas["GrantWish"];
export type CreatedGrant = Schemas["NewGrant"];
export type LedgerEntry = Schemas["LedgerEntry"];
export type Session = Schemas["Session"];
export type Identity = Schemas["Identity"];
export type Factor = Schemas["Factor"];
export type FactorList = Schemas["FactorList"];
export type BegunApp = Schemas["Totp"];
export type RecoveryCodes = Schemas["RecoveryCodes"];
export type AddedPasskey = Schemas["PasskeyAdded"];
export type Reported = Schemas["Reported"];
export type Problem = Schemas["Problem"];

/** How a person shows that it is them. */
export type Way = "totp" | "passkey" | "password" | "recovery_code";
export type Proof = Partial<Record<Exclude<Way, "passkey">, string>> & { passkey?: object };

export interface Page<Item> {
  items: Item[];
  next: string | null;
}
