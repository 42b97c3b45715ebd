"""How often somebody may ask: per address, per account and per token."""
