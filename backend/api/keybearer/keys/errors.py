"""What can go wrong when something is sealed or opened."""


class EnvelopeError(Exception):
    """A ciphertext does not open: changed, moved to another row, or sealed under another key.

    Never says more, and is never caught to carry on with nothing: the row is unusable.
    """


class RetiredKey(EnvelopeError):
    """The key-encryption key is not, or no longer, registered, so nothing new may be encrypted under it."""


class KeyInUse(EnvelopeError):
    """Something is still encrypted under the key-encryption key, so it cannot go."""


class UnknownKey(EnvelopeError):
    """The key id in the ciphertext is not in the keyring."""
