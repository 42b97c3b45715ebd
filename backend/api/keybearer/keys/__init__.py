"""Encryption at rest: the keyring, one data key a person or tenant, and the envelope (rule R2)."""
