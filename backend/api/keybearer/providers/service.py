"""What Keybearer does with providers: send people there, get tokens, refresh and revoke them, learn who someone is."""

import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

import structlog

from keybearer.kit.errors import Unavailable
from keybearer.kit.outbound import Answer, NotAnswered, Outbound
from keybearer.providers import oauth
from keybearer.providers.catalogue import Catalogue
from keybearer.providers.discovery import Discovery
from keybearer.providers.errors import (
    TokenRequestFailed,
    provider_not_configured,
    provider_unknown,
)
from keybearer.providers.id_token import IdTokens
from keybearer.providers.identity_answer import Identities, ProviderIdentity
from keybearer.providers.model import Provider, Revocation
from keybearer.providers.tokens import TokenAnswer

log = structlog.get_logger(__name__)


class Providers:
    """`clock` is the time of day in seconds since 1970, `monotonic` the one for caches."""

    def __init__(
        self,
        catalogue: Catalogue,
        outbound: Outbound,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalogue = catalogue
        self._outbound = outbound
        self._clock = clock
        self._discovery = Discovery(outbound, monotonic=monotonic)
        self._identities = Identities(outbound, self._discovery, IdTokens(self._discovery, clock=clock))

    def find_provider(self, name: str) -> Provider | None:
        return self._catalogue.find(name)

    def get_provider(self, name: str) -> Provider:
        provider = self._catalogue.find(name)
        if provider is None:
            raise provider_unknown(name)
        return provider

    def all(self) -> list[Provider]:
        return list(self._catalogue.values())

    async def authorize_url(
        self,
        provider: Provider,
        *,
        redirect_uri: str,
        state: str,
        nonce: str | None,
        code_challenge: str | None,
        scopes: Sequence[str],
        connecting: bool,
        login_hint: str | None = None,
        fresh: bool = False,
    ) -> str:
        """What learning the account's name needs is asked for too. Raises Unavailable without discovery."""
        endpoint = (await self._discovery.metadata(provider)).authorize
        if endpoint is None:
            raise provider_not_configured(provider)
        identity = provider.identity
        reads_person = identity is not None and identity.source != "token"
        needed = provider.sign_in_scopes if reads_person else ()
        return oauth.authorize_url(
            endpoint,
            provider,
            redirect_uri=redirect_uri,
            state=state,
            nonce=nonce if provider.issuer is not None else None,
            code_challenge=code_challenge,
            scopes=tuple(dict.fromkeys([*scopes, *needed])),
            connecting=connecting,
            login_hint=login_hint,
            fresh=fresh,
        )

    async def exchange(
        self, provider: Provider, *, code: str, redirect_uri: str, code_verifier: str | None
    ) -> TokenAnswer:
        """Raises TokenRequestFailed."""
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if code_verifier is not None and provider.pkce == "S256":
            grant["code_verifier"] = code_verifier
        return await self._request_token(provider, grant)

    async def refresh(self, provider: Provider, refresh_token: str) -> TokenAnswer:
        """Raises TokenRequestFailed."""
        return await self._request_token(provider, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def client_credentials(self, provider: Provider, fields: Mapping[str, str]) -> TokenAnswer:
        """With the id and secret that a person filled in. Raises TokenRequestFailed."""
        grant = {"grant_type": "client_credentials"}
        if provider.default_scopes:
            grant[provider.scope_param] = provider.scope_separator.join(provider.default_scopes)
        return await self._request_token(
            provider, grant, client=(fields.get("client_id", ""), fields.get("client_secret"))
        )

    async def revoke(self, provider: Provider, *, access_token: str | None, refresh_token: str | None) -> bool:
        """Whether the provider confirmed it. A failure of the provider is logged, never raised."""
        try:
            revocation = provider.revoke or await self._discovered_revocation(provider)
            token = _revoked_token(revocation, access_token, refresh_token)
            if revocation is None or token is None:
                return False
            answer = await self._send_revocation(provider, revocation, token)
        except NotAnswered as failure:
            log.warning("providers.revoke.failed", provider=provider.name, reason=failure.reason)
            return False
        except Unavailable as error:
            log.warning("providers.revoke.failed", provider=provider.name, reason=error.code)
            return False
        confirmed = 200 <= answer.status < 300 and not oauth.refuses_with_200(provider, oauth.members(answer))
        if not confirmed:
            log.warning("providers.revoke.failed", provider=provider.name, status=answer.status)
        return confirmed

    async def identify(self, provider: Provider, answer: TokenAnswer, *, nonce: str | None) -> ProviderIdentity:
        """Raises IdentityInvalid, or Unavailable (`provider_unavailable`)."""
        return await self._identities.identify(provider, answer, nonce=nonce)

    async def reachable(self, provider: Provider) -> str | None:
        """What is wrong with reaching it, in a sentence; None when its token endpoint answers at all."""
        try:
            endpoint = (await self._discovery.metadata(provider)).token
        except Unavailable as error:
            return error.detail
        if endpoint is None:
            return "no token endpoint is known; see docs/providers.md"
        try:
            await self._outbound.fetch("GET", endpoint)
        except NotAnswered as failure:
            return f"{endpoint} gives no answer ({failure.reason}); check the address, DNS and firewall"
        return None

    async def _request_token(
        self, provider: Provider, grant: Mapping[str, str], *, client: tuple[str, str | None] | None = None
    ) -> TokenAnswer:
        try:
            endpoint = (await self._discovery.metadata(provider)).token
        except Unavailable as error:
            raise TokenRequestFailed("transient", retry_after=error.retry_after) from error
        if endpoint is None:
            raise provider_not_configured(provider)
        try:
            return await oauth.request_token(
                self._outbound, endpoint, provider, grant, client=client, clock=self._clock
            )
        except TokenRequestFailed as failure:
            log.warning(
                "providers.token_request.failed",
                provider=provider.name,
                grant_type=grant["grant_type"],
                kind=failure.kind,
                status=failure.status,
                code=failure.code,
            )
            raise

    async def _discovered_revocation(self, provider: Provider) -> Revocation | None:
        """A server that names a revocation endpoint takes RFC 7009 there."""
        if provider.discovery is None:
            return None
        url = (await self._discovery.metadata(provider)).revoke
        return Revocation(url=url, client_auth=provider.token_auth) if url else None

    async def _send_revocation(self, provider: Provider, revocation: Revocation, token: str) -> Answer:
        url = revocation.url.replace("{client_id}", quote(provider.client_id or "", safe=""))
        headers, members = dict(provider.headers.fixed), dict[str, str]()
        if revocation.client_auth != "none":
            credentials, members = oauth.client_authentication(provider, revocation.client_auth)
            headers |= credentials
        match revocation.send:
            case "form" | "json":
                members[revocation.key] = token
            case "query":
                url += f"{'&' if '?' in url else '?'}{quote(revocation.key, safe='')}={quote(token, safe='')}"
            case "path":
                url = url.replace("{token}", quote(token, safe=""))
            case "bearer":
                headers["authorization"] = f"Bearer {token}"
        as_json = revocation.send == "json"
        return await self._outbound.fetch(
            revocation.method,
            url,
            headers=headers,
            form=members if members and not as_json else None,
            json=members if members and as_json else None,
        )


def _revoked_token(revocation: Revocation | None, access_token: str | None, refresh_token: str | None) -> str | None:
    """Ending the refresh token ends its access tokens; where there is none, the access token can still be ended."""
    if revocation is None:
        return None
    if revocation.token == "access_token":  # noqa: S105 - which token, not its value
        return access_token
    return refresh_token or access_token
