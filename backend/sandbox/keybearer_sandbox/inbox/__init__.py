"""A mailbox that catches what is sent to it over SMTP."""
