"""The one composition root: settings in, a running application out (decision D5)."""
