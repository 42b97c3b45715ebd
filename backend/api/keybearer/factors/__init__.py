"""What people prove who they are with besides a password: codes of an app, recovery codes, passkeys; and step-up."""
