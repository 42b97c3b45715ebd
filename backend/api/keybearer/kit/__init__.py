"""What every domain stands on and that knows no domain: errors, database, tokens, logs, clocks."""
