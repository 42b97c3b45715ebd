"""What the vault needs of a provider: the part of `providers` that a test can stand in for."""

from collections.abc import Mapping
from typing import Protocol

from keybearer.providers.model import Provider
from keybearer.providers.tokens import TokenAnswer


class Upstream(Protocol):
    """Refusals and failures are `TokenRequestFailed`."""

    def find_provider(self, name: str) -> Provider | None:
        """None for one that an administrator removed while people still have connections to it."""

    def get_provider(self, name: str) -> Provider: ...

    async def refresh(self, provider: Provider, refresh_token: str) -> TokenAnswer: ...

    async def client_credentials(self, provider: Provider, fields: Mapping[str, str]) -> TokenAnswer: ...

    async def revoke(self, provider: Provider, *, access_token: str | None, refresh_token: str | None) -> bool: ...
