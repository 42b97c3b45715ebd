"""What whoever guessed too often is told; the same whether or not the account exists."""

import math
from datetime import timedelta

from keybearer.kit.errors import TooMany


def account_locked(left: timedelta) -> TooMany:
    return TooMany(
        "account_locked",
        "Too many wrong attempts came for this account, so no more are looked at for now. Wait, or use a recovery code "
        "or a passkey.",
        retry_after=max(1, math.ceil(left.total_seconds())),
    )
