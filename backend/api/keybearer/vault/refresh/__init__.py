"""How an expired token becomes a valid one exactly once, whatever dies in between (rule R4)."""
