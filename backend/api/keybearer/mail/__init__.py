"""Mail to people: written down with the change that it tells of, sent by one process, forgotten once it is sent."""
