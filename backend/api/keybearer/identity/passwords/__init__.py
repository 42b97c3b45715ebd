"""Passwords of local accounts: how they are hashed, which are refused, and which were used before."""
