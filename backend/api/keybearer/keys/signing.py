"""Ed25519 keys from a mounted directory, in the keyring's shape: PEM files and `primary`.

A retired key stays as its public half, `<id>.pub`: what it signed must verify for ever.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from keybearer.keys.keyring import read_folder, revision
from keybearer.kit.errors import ConfigurationError

_PUBLIC_SUFFIX = ".pub"


@dataclass(slots=True)
class SigningKeyring:
    """`digests`: sha256 of each file, by its name. A reload replaces all of it at once (`take`)."""

    private: dict[str, Ed25519PrivateKey] = field(repr=False)
    public: dict[str, Ed25519PublicKey] = field(repr=False)
    primary: str
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def revision(self) -> str:
        """As a keyring's (rule R9)."""
        return revision(self.digests, self.primary)

    def take(self, other: "SigningKeyring") -> bool:
        """Becomes `other`, which has to know whatever this one may have signed with; False when nothing differs.

        Raises ConfigurationError: what a key signed must verify for ever.
        """
        if other.revision == self.revision:
            return False
        gone = self.public.keys() - other.public.keys()
        if gone:
            raise ConfigurationError(
                f"KEYBEARER_SIGNING_KEYRING_DIR lacks the key {min(gone)}. Put its file back, or its public half as "
                f"`{min(gone)}{_PUBLIC_SUFFIX}`."
            )
        self.private, self.public = other.private, other.public
        self.primary, self.digests = other.primary, other.digests
        return True

    def sign(self, message: bytes) -> bytes:
        """A signature of the primary key, 64 bytes (RFC 8032)."""
        return self.private[self.primary].sign(message)

    def verify(self, key_id: str, signature: bytes, message: bytes) -> bool:
        """False for an unknown key too: only keys of this directory are believed."""
        key = self.public.get(key_id)
        if key is None:
            return False
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def load(folder: Path) -> SigningKeyring:
    """Raises ConfigurationError for a directory that cannot sign."""
    primary, files = read_folder(folder, "SIGNING_KEYRING_DIR")
    private: dict[str, Ed25519PrivateKey] = {}
    public: dict[str, Ed25519PublicKey] = {}
    for path in files:
        if path.suffix == _PUBLIC_SUFFIX:
            public[path.stem] = _public(path)
        else:
            private[path.name] = _private(path)
            public[path.name] = private[path.name].public_key()
    if primary not in private:
        raise ConfigurationError(
            f"KEYBEARER_SIGNING_KEYRING_DIR: `primary` names {primary!r}, but there is no such private key."
        )
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return SigningKeyring(private=private, public=public, primary=primary, digests=digests)


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path)
    return key


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unusable(path) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable(path)
    return key


def _unusable(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"KEYBEARER_SIGNING_KEYRING_DIR: {path.name} is not an Ed25519 key in PEM. Make one with "
        "`openssl genpkey -algorithm ed25519`."
    )
