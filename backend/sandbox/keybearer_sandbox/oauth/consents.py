"""What each person has allowed each client so far; a first consent is treated differently from a repeated one."""

from collections.abc import Callable

_Key = tuple[str, str, str]


class Consents:
    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._scopes: dict[_Key, frozenset[str]] = {}

    def given(self, provider: str, client_id: str, account: str) -> frozenset[str]:
        return self._scopes.get((provider, client_id, account), frozenset())

    def add(self, provider: str, client_id: str, account: str, scopes: tuple[str, ...]) -> None:
        key = (provider, client_id, account)
        self._scopes[key] = self._scopes.get(key, frozenset()) | set(scopes)
        self._changed()

    def withdraw(self, provider: str, client_id: str, account: str) -> None:
        self._scopes.pop((provider, client_id, account), None)
        self._changed()

    def clear(self) -> None:
        self._scopes.clear()
        self._changed()

    def snapshot(self) -> list[list[object]]:
        return [[*key, sorted(scopes)] for key, scopes in self._scopes.items()]

    def restore(self, saved: list[list[object]]) -> None:
        for provider, client_id, account, scopes in saved:
            if not isinstance(scopes, list):
                raise TypeError("scopes must be a list")
            self._scopes[(str(provider), str(client_id), str(account))] = frozenset(map(str, scopes))
