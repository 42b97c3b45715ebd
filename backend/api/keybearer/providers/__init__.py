"""Providers are data: what the catalogue says about each, and the pure rules the proxy applies to it."""
