/** Every name that the rest of the interface takes from the contract, in one place: a renamed schema is one edit. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Me = Schemas["Me"];
export type Provider = Schemas["ProviderWire"];
export type ProviderField = Schemas["FieldWire"];
export type Connection = Schemas["ConnectionWire"];
export type ConnectionState = Connection["state"];
export type Disconnected = Schemas["Disconnected"];
export type Grant = Schemas["GrantWire"];
export type GrantConnection = Grant["connections"][number];
export type GrantRequest = Schemas["GrantWish"];
export type CreatedGrant = Schemas["NewGrant"];
export type LedgerEntry = Schemas["EntryWire"];
export type Session = Schemas["SessionWire"];
export type Identity = Schemas["IdentityWire"];
export type Problem = Schemas["Problem"];

export interface Page<Item> {
  items: Item[];
  next: string | null;
}
