"""One module for each fake provider: its words, its quirks and its API."""
