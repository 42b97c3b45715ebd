"""Tenants: realms with hostnames of their own. A fresh installation has one, `default`."""
