"""Invitations: leave to register with one address, given by whoever runs the installation."""
