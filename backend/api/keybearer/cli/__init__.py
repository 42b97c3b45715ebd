"""The `keybearer` command, and what it takes to run the whole product on one machine."""
