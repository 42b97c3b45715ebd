"""Carries an agent's call to a provider with the person's credential, which the agent never sees."""
