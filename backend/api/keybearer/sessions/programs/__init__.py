"""Tokens for programs: a short signed access token, and a refresh token that is replaced with each use."""
