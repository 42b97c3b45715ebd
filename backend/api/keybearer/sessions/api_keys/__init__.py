"""API keys: bearer secrets that people make for programs which cannot sign in again."""
