"""Sessions, and the one mechanism that resolves every bearer secret (rule R3)."""
