"""People, and the provider identities they sign in with. An identity is issuer + subject, never an email."""
