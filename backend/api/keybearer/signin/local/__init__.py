"""Signing in and stepping up with what is checked here, without a provider."""
