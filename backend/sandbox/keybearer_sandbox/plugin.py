"""pytest fixtures (filled by the sandbox)."""
