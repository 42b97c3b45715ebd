"""People's credentials at providers: kept sealed, refreshed, handed out one short-lived token at a time."""
