"""The OAuth 2 and OpenID Connect rules that all fake providers share."""
