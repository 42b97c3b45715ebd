"""Fake OAuth providers over real HTTP, which fail on request in the ways that the real ones do."""

__version__ = "0.1.0"
