import type { Provider } from "../api/types";

/** What somebody signed in with, in a sentence: a provider, or what Keybearer keeps itself. */
export function wayWords(via: string, titleOf: (provider: string) => string): string {
  if (via === "email") return "a mail";
  return via === "password" || via === "passkey" ? `a ${via}` : titleOf(via);
}

/** A provider's own spelling of its name, also before the list of providers has come. */
export function providerTitle(name: string | null, providers: readonly Provider[] | undefined): string {
  if (name === null || name === "") return "the provider";
  return providers?.find((provider) => provider.name === name)?.title ?? name.charAt(0).toUpperCase() + name.slice(1);
}
