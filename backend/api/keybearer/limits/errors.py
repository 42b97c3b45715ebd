"""The one refusal; nginx in front says the same."""

from keybearer.kit.errors import TooMany


def rate_limited(retry_after: int) -> TooMany:
    seconds = "second" if retry_after == 1 else "seconds"
    return TooMany(
        "rate_limited",
        f"Too many requests came in a short time, so this one was not carried out. Try again in {retry_after} "
        f"{seconds}.",
        retry_after=retry_after,
    )
