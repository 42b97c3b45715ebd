"""Local accounts: register, sign in with a password, change it."""
