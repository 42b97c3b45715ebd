import { describe, expect, it } from "vitest";

import { answerFrom, creationFrom, fromBase64url, requestFrom, toBase64url } from "./webauthn";

const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);

describe("base64url", () => {
  it.each([0, 1, 2, 3, 255, 256])("%i bytes come back as they went", (length) => {
    const text = toBase64url(bytes.slice(0, length).buffer);
    expect(text).toMatch(/^[A-Za-z0-9_-]*$/);
    expect(fromBase64url(text)).toEqual(bytes.slice(0, length));
  });
});

it("makes buffers of what the API offers to create", () => {
  const made = creationFrom({
    rp: { id: "localhost", name: "Keybearer" },
    user: { id: "AQI", name: "alice@example.com", displayName: "Alice" },
    challenge: "3q2-7w",
    pubKeyCredParams: [{ type: "public-key", alg: -7 }],
    excludeCredentials: [{ id: "AQ", type: "public-key" }],
    authenticatorSelection: { userVerification: "required" },
  });
  expect(made.challenge).toEqual(Uint8Array.of(0xde, 0xad, 0xbe, 0xef));
  expect(made.user).toEqual({ id: Uint8Array.of(1, 2), name: "alice@example.com", displayName: "Alice" });
  expect(made.excludeCredentials).toEqual([{ id: Uint8Array.of(1), type: "public-key" }]);
  expect(made.authenticatorSelection?.userVerification).toBe("required");
});

it("makes buffers of what the API asks for", () => {
  const made = requestFrom({ challenge: "3q2-7w", rpId: "localhost", userVerification: "required" });
  expect(made).toEqual({ challenge: Uint8Array.of(0xde, 0xad, 0xbe, 0xef), rpId: "localhost", userVerification: "required", allowCredentials: [] });
});

it("writes an answer as toJSON does", () => {
  const response = { clientDataJSON: bytes.slice(0, 3).buffer, attestationObject: bytes.slice(3, 5).buffer, userHandle: null, getTransports: () => ["internal"] };
  expect(answerFrom({ id: "AQ", rawId: Uint8Array.of(1).buffer, type: "public-key", response })).toEqual({
    id: "AQ",
    rawId: "AQ",
    type: "public-key",
    response: { clientDataJSON: "AAEC", attestationObject: "AwQ", transports: ["internal"] },
    clientExtensionResults: {},
  });
});
