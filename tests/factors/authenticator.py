"""An authenticator in software: keeps passkeys, checks its person, signs (WebAuthn, attestation `none`)."""

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class Kept:
    id: bytes
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    rp_id: str
    user_handle: bytes
    count: int = 0


@dataclass
class Authenticator:
    """What a browser and its authenticator do together. The fields are what a test may make wrong."""

    origin: str
    counts: bool = True
    verifies: bool = True
    ed25519: bool = False
    rp_id: str | None = None
    credential_id: bytes | None = None
    kept: list[Kept] = field(default_factory=list)

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to `navigator.credentials.create()`, as its `toJSON()` has it."""
        asked = options["publicKey"]
        assert asked["authenticatorSelection"]["userVerification"] == "required"
        assert asked["authenticatorSelection"]["residentKey"] == "required"
        key = ed25519.Ed25519PrivateKey.generate() if self.ed25519 else ec.generate_private_key(ec.SECP256R1())
        passkey = Kept(
            self.credential_id or os.urandom(32), key, self.rp_id or asked["rp"]["id"], _bytes(asked["user"]["id"])
        )
        excluded = {_bytes(each["id"]) for each in asked.get("excludeCredentials", ())}
        assert not excluded & {each.id for each in self.kept}, "the authenticator has one of this account already"
        self.kept.append(passkey)
        attested = bytes(16) + len(passkey.id).to_bytes(2, "big") + passkey.id + _cose(key)
        data = self._data(passkey, ATTESTED) + attested
        return {
            **self._credential(passkey),
            "response": {
                "clientDataJSON": _text(self._client_data("webauthn.create", asked["challenge"])),
                "attestationObject": _text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
                "transports": ["internal", "hybrid"],
            },
        }

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to `navigator.credentials.get()`, with the passkey that was made last."""
        asked, passkey = options["publicKey"], self.kept[-1]
        if self.counts:
            passkey.count += 1
        data, client_data = self._data(passkey), self._client_data("webauthn.get", asked["challenge"])
        signed = data + hashlib.sha256(client_data).digest()
        if isinstance(passkey.key, ec.EllipticCurvePrivateKey):
            signature = passkey.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        else:
            signature = passkey.key.sign(signed)
        return {
            **self._credential(passkey),
            "response": {
                "clientDataJSON": _text(client_data),
                "authenticatorData": _text(data),
                "signature": _text(signature),
                "userHandle": _text(passkey.user_handle),
            },
        }

    def _credential(self, passkey: Kept) -> dict[str, Any]:
        identifier = _text(passkey.id)
        return {"id": identifier, "rawId": identifier, "type": "public-key", "clientExtensionResults": {}}

    def _data(self, passkey: Kept, flags: int = 0) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(passkey.rp_id.encode()).digest() + bytes([flags]) + passkey.count.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()


def _cose(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """The public key as RFC 9052 writes it."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes_raw()})
    numbers = key.public_key().public_numbers()
    return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
