"""Tells a person's open pages at once what changed."""
