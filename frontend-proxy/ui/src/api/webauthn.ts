/** Passkeys as the browser offers them, in the JSON that the API speaks. */

// Without extensions, of which the API uses none.
type Creation = Omit<PublicKeyCredentialCreationOptionsJSON, "extensions">;
type Request = Omit<PublicKeyCredentialRequestOptionsJSON, "extensions">;

/** Over plain http, elsewhere than on one's own machine, browsers offer none. */
export function passkeysPossible(): boolean {
  return typeof window.PublicKeyCredential === "function";
}

/** Whether the browser can offer passkeys in the field where it offers addresses. */
export async function autofillPossible(): Promise<boolean> {
  if (!passkeysPossible() || !("isConditionalMediationAvailable" in PublicKeyCredential)) return false;
  return PublicKeyCredential.isConditionalMediationAvailable().catch(() => false);
}

export async function createPasskey(options: Creation): Promise<object> {
  const native = "parseCreationOptionsFromJSON" in PublicKeyCredential;
  const publicKey = native ? PublicKeyCredential.parseCreationOptionsFromJSON(options) : creationFrom(options);
  return answerOf(await navigator.credentials.create({ publicKey }));
}

/** With a signal, it waits behind the autofill of a field until the signal ends it; otherwise the browser asks at once. */
export async function askForPasskey(options: Request, signal?: AbortSignal): Promise<object> {
  const native = "parseRequestOptionsFromJSON" in PublicKeyCredential;
  const publicKey = native ? PublicKeyCredential.parseRequestOptionsFromJSON(options) : requestFrom(options);
  return answerOf(await navigator.credentials.get(signal ? { publicKey, signal, mediation: "conditional" } : { publicKey }));
}

export function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

export function toBase64url(bytes: ArrayBuffer): string {
  const binary = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

// For browsers of before 2025, which cannot convert by themselves.

export function creationFrom({ challenge, user, excludeCredentials = [], ...rest }: Creation): PublicKeyCredentialCreationOptions {
  return {
    ...(rest as Omit<PublicKeyCredentialCreationOptions, "challenge" | "user">),
    challenge: fromBase64url(challenge),
    user: { ...user, id: fromBase64url(user.id) },
    excludeCredentials: excludeCredentials.map(descriptorFrom),
  };
}

export function requestFrom({ challenge, allowCredentials = [], ...rest }: Request): PublicKeyCredentialRequestOptions {
  return {
    ...(rest as Omit<PublicKeyCredentialRequestOptions, "challenge">),
    challenge: fromBase64url(challenge),
    allowCredentials: allowCredentials.map(descriptorFrom),
  };
}

function descriptorFrom({ id, type }: PublicKeyCredentialDescriptorJSON): PublicKeyCredentialDescriptor {
  return { id: fromBase64url(id), type: type as PublicKeyCredentialType };
}

function answerOf(credential: Credential | null): object {
  if (!(credential instanceof PublicKeyCredential)) throw new DOMException("no passkey was given", "NotAllowedError");
  const own: { toJSON?: () => object } = credential;
  return own.toJSON?.() ?? answerFrom(credential);
}

/** Every buffer of the response under the name that `toJSON` gives it, which is its own. */
export function answerFrom({ id, rawId, type, response }: Pick<PublicKeyCredential, "id" | "rawId" | "type" | "response">): object {
  const names = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const buffers = names.flatMap((name) => {
    const value: unknown = Reflect.get(response, name);
    return value instanceof ArrayBuffer ? [[name, toBase64url(value)]] : [];
  });
  const transports = "getTransports" in response ? { transports: (response as AuthenticatorAttestationResponse).getTransports() } : {};
  const parts = Object.fromEntries(buffers) as Record<string, string>;
  return { id, rawId: toBase64url(rawId), type, response: { ...parts, ...transports }, clientExtensionResults: {} };
}
