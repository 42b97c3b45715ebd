"""New keys and passwords, made the same way for a data folder, for compose.yaml and for a cluster."""

import base64
import os
import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

DATABASE = "keybearer"
LIVEKIT_KEY = "keybearer"
_FIRST_KEY = "k1"


def keyring() -> dict[str, str]:
    """File names and contents; `primary`, which makes it a keyring, comes last."""
    return {_FIRST_KEY: encryption_key(), "primary": f"{_FIRST_KEY}\n"}


def signing_keyring() -> dict[str, str]:
    return {_FIRST_KEY: signing_key(), "primary": f"{_FIRST_KEY}\n"}


def encryption_key() -> str:
    """32 bytes in base64."""
    return base64.b64encode(os.urandom(32)).decode() + "\n"


def signing_key() -> str:
    """Ed25519 in PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def password() -> str:
    """256 bits in characters that need no escaping in a URL, a shell or YAML."""
    return secrets.token_urlsafe(32)


def livekit_keys(secret: str) -> str:
    """As LiveKit's own setting has them."""
    return f"{LIVEKIT_KEY}: {secret}"
