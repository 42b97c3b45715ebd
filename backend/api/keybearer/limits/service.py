"""Asked before something is done: may this one, now?"""

from uuid import UUID

from keybearer.kit import context
from keybearer.limits import errors, metrics, model
from keybearer.limits.model import Rule
from keybearer.limits.windows import Windows


class SignInLimits:
    """Attempts to sign in, `5/minute` unless set otherwise, from each address and for each account.

    Refused attempts are not counted, so that whoever waits is let in again.
    """

    def __init__(self, windows: Windows, limit: str) -> None:
        self._windows = windows
        self._rule = model.strict(limit)

    async def check_address(self, step: str) -> None:
        """Counts one `step` (`start`, `callback`, …) of the request's address. Raises TooMany("rate_limited")."""
        await _take(self._windows, self._rule, _key(f"sign_in:{step}"), "sign_in_address")

    async def check_account(self, tenant_id: UUID, email: str, source: bytes = b"") -> None:
        """Counts one attempt for an account, of whoever is in the same bucket `source` (see lockouts). Raises
        TooMany("rate_limited").

        To be asked before anything that depends on whether the account exists: known and unknown ones are counted
        alike. The email is hashed before it becomes a key.
        """
        key = f"sign_in:{model.of_account(tenant_id, email)}:{source.hex()}"
        await _take(self._windows, self._rule, key, "sign_in_account")

    async def check_mail(self, tenant_id: UUID, email: str) -> None:
        """Counts one mail that somebody asked for to an address, known or not. Raises TooMany("rate_limited")."""
        await _take(self._windows, self._rule, f"mail:{model.of_account(tenant_id, email)}", "sign_in_account")


class RequestLimits:
    """Everything else, `10/second` and bursts unless set otherwise."""

    def __init__(self, windows: Windows, limit: str) -> None:
        self._windows = windows
        self._rule = model.with_burst(limit)

    async def check_address(self) -> None:
        """Raises TooMany("rate_limited")."""
        await _take(self._windows, self._rule, _key("request"), "address")

    async def check_token(self, digest: bytes) -> None:
        """Raises TooMany("rate_limited")."""
        await _take(self._windows, self._rule, f"request:{model.of_token(digest)}", "token")

    async def check_guesses(self) -> None:
        """Counts nothing. Raises TooMany("rate_limited") where too many tokens of the address proved to be none.

        Apart from its other requests, so that a flood of those shuts no agent out that shares the address.
        """
        for window in self._rule.windows:
            if await self._windows.has_room(window, _key("guess")):
                return
        await _refuse(self._windows, self._rule, _key("guess"), "guess")

    async def count_guess(self) -> None:
        """A token that proved to be none counts for its address, or whoever makes up tokens would have no limit."""
        for window in self._rule.windows:
            if await self._windows.hit(window, _key("guess")):
                return


async def _take(windows: Windows, rule: Rule, key: str, name: str) -> None:
    for window in rule.windows:
        if await windows.hit(window, key):
            return
    await _refuse(windows, rule, key, name)


async def _refuse(windows: Windows, rule: Rule, key: str, name: str) -> None:
    metrics.REFUSED.labels(name).inc()
    raise errors.rate_limited(await windows.wait(rule.windows[0], key))


def _key(what: str) -> str:
    return f"{what}:{model.of_address(context.request.get().address)}"
