"""Showing once more that it is you, within a session."""
