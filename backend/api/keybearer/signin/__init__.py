"""Signing in, linking and connecting through a provider, and leaving for good (rule R5)."""
