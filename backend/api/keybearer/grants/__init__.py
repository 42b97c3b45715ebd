"""What people allow agents: some of their connections, some scopes, for some time."""
