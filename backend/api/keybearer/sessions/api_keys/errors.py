"""Why an API key is not made, found or enough."""

from keybearer.kit.errors import BadInput, Conflict, Forbidden, NotFound


def not_found() -> NotFound:
    return NotFound("api_key_not_found", "You have no such API key. It may have been revoked already.")


def too_many(most: int) -> Conflict:
    return Conflict("api_keys_full", f"You have {most} API keys, which is the most. Revoke one that is not used.")


def scope_missing() -> Forbidden:
    return Forbidden("api_key_scope", "This API key has no scope for that request. Make one that has it.")


def lifetime_refused() -> BadInput:
    return BadInput("api_key_lifetime", "expires_at must be in the future, and at most 366 days from now.")
