"""What HTTP needs everywhere: problem bodies, the caller, request ids, headers, limits, paging."""
