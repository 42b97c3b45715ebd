"""The whole installation as one encrypted file, and back: what is lost and what must not come back with it."""
