"""Who the person is, from what a provider says: an id_token's claims, a userinfo answer or the token answer itself.

The identity is issuer and subject, never the email. Everything else is for showing, and is cleaned for that.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from keybearer.kit.outbound import Answer, NotAnswered, Outbound
from keybearer.providers.discovery import Discovery
from keybearer.providers.errors import id_token_invalid, identity_unusable, provider_unavailable
from keybearer.providers.id_token import IdTokens
from keybearer.providers.model import Identity, Provider, find_value
from keybearer.providers.tokens import TokenAnswer

log = structlog.get_logger(__name__)

_LONGEST_SUBJECT = 255
_LONGEST_TEXT = 200
_LONGEST_EMAIL = 320
_LONGEST_URL = 2000
_LATEST_TIME = 253_402_300_800  # the year 10000
_GRAPHQL = {"query": "{viewer{id name email avatarUrl}}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderIdentity:
    issuer: str
    subject: str
    email: str | None
    email_verified: bool
    name: str
    avatar_url: str | None
    account_name: str
    authenticated_at: datetime | None = None
    """When the provider last had the person prove who they are; None where no checked id_token says so."""


class Identities:
    """Raises IdentityInvalid, or Unavailable where the provider does not answer."""

    def __init__(self, outbound: Outbound, discovery: Discovery, id_tokens: IdTokens) -> None:
        self._outbound = outbound
        self._discovery = discovery
        self._id_tokens = id_tokens

    async def identify(self, provider: Provider, answer: TokenAnswer, *, nonce: str | None) -> ProviderIdentity:
        asked = provider.identity
        if asked is None:
            return _nameless(provider, answer)
        if asked.source == "token":
            return read_identity(provider, asked, answer.about, _issuer(provider))
        if asked.source == "id_token":
            return await self._from_id_token(provider, asked, answer, nonce)
        authenticated_at = None
        if answer.id_token is not None and provider.issuer is not None and nonce is not None:
            # Names come from userinfo here, yet a token that came along must not contradict the sign-in.
            claims = await self._id_tokens.claims(
                provider, answer.id_token, access_token=answer.access_token, nonce=nonce
            )
            authenticated_at = _auth_time(claims)
        identity = replace(
            read_identity(provider, asked, await self._userinfo(provider, answer.access_token), _issuer(provider)),
            authenticated_at=authenticated_at,
        )
        if "emails_endpoint" in provider.quirks:
            return await self._with_primary_email(provider, identity, answer.access_token)
        return identity

    async def _from_id_token(
        self, provider: Provider, asked: Identity, answer: TokenAnswer, nonce: str | None
    ) -> ProviderIdentity:
        if answer.id_token is None:
            raise id_token_invalid(provider, "missing")
        claims = await self._id_tokens.claims(provider, answer.id_token, access_token=answer.access_token, nonce=nonce)
        # Before userinfo adds to them: of this, the signed token's word alone counts.
        authenticated_at = _auth_time(claims)
        if find_value(claims, asked.email) is None:
            claims = await self._completed(provider, answer.access_token, claims)
        return replace(read_identity(provider, asked, claims, str(claims["iss"])), authenticated_at=authenticated_at)

    async def _completed(
        self, provider: Provider, access_token: str, claims: Mapping[str, object]
    ) -> Mapping[str, object]:
        """Servers may keep email and name for userinfo (OpenID Connect Core 5.4); sign-in works without them too."""
        metadata = await self._discovery.metadata(provider)
        if metadata.userinfo is None:
            return claims
        try:
            answer = await self._get(provider, metadata.userinfo, access_token)
        except NotAnswered:
            return claims
        more = _members(answer)
        if more.get("sub") != claims["sub"]:
            return claims
        return {**more, **claims}

    async def _userinfo(self, provider: Provider, access_token: str) -> Mapping[str, object]:
        metadata = await self._discovery.metadata(provider)
        if metadata.userinfo is None:
            raise identity_unusable(provider, "no_userinfo")
        answer = await self._answered(provider, metadata.userinfo, access_token)
        members = _members(answer)
        if answer.status != 200 or not members:
            raise identity_unusable(provider, "userinfo_refused")
        return members

    async def _with_primary_email(
        self, provider: Provider, identity: ProviderIdentity, access_token: str
    ) -> ProviderIdentity:
        """Without the scope to read addresses, the public one stays, of which nothing says that it is verified."""
        if provider.endpoints.emails is None:
            return identity
        answer = await self._answered(provider, provider.endpoints.emails, access_token)
        entries = _json(answer) if answer.status == 200 else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("primary") is True:
                email = _email(entry.get("email"))
                if email is not None:
                    return replace(identity, email=email, email_verified=entry.get("verified") is True)
        return identity

    async def _answered(self, provider: Provider, url: str, access_token: str) -> Answer:
        try:
            answer = await self._get(provider, url, access_token)
        except NotAnswered as failure:
            log.warning("providers.userinfo.failed", provider=provider.name, reason=failure.reason)
            raise provider_unavailable(provider) from failure
        if answer.status == 429 or answer.status >= 500:
            log.warning("providers.userinfo.failed", provider=provider.name, status=answer.status)
            raise provider_unavailable(provider)
        return answer

    async def _get(self, provider: Provider, url: str, access_token: str) -> Answer:
        headers = {**provider.headers.fixed, "authorization": f"Bearer {access_token}"}
        graphql = "userinfo_graphql" in provider.quirks
        post = graphql or "userinfo_post" in provider.quirks
        return await self._outbound.fetch(
            "POST" if post else "GET", url, headers=headers, json=_GRAPHQL if graphql else None
        )


def read_identity(provider: Provider, asked: Identity, document: Mapping[str, object], issuer: str) -> ProviderIdentity:
    """Raises IdentityInvalid where there is no usable subject."""
    subject = _subject(find_value(document, asked.subject))
    if subject is None:
        raise identity_unusable(provider, "no_subject")
    email = _email(find_value(document, asked.email))
    name = _text(find_value(document, asked.name))
    account_name = _text(find_value(document, provider.account_name))
    return ProviderIdentity(
        issuer=issuer,
        subject=subject,
        email=email,
        email_verified=email is not None and _says_true(find_value(document, asked.email_verified)),
        name=name or email or account_name or subject,
        avatar_url=_picture(find_value(document, asked.avatar)),
        account_name=account_name or email or name or subject,
    )


def _nameless(provider: Provider, answer: TokenAnswer) -> ProviderIdentity:
    """A provider that the catalogue cannot ask who is there: one account, called as the provider is."""
    account_name = _text(find_value(answer.about, provider.account_name)) or provider.title
    return ProviderIdentity(
        issuer=_issuer(provider),
        subject=provider.name,
        email=None,
        email_verified=False,
        name=account_name,
        avatar_url=None,
        account_name=account_name,
    )


def _auth_time(claims: Mapping[str, object]) -> datetime | None:
    """OpenID Connect Core 2: seconds since 1970, as a number."""
    given = claims.get("auth_time")
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < _LATEST_TIME:
        return None
    return datetime.fromtimestamp(given, UTC)


def _issuer(provider: Provider) -> str:
    return provider.identity_issuer or f"oauth2:{provider.name}"


def _members(answer: Answer) -> Mapping[str, object]:
    document = _json(answer) if answer.status == 200 else None
    return document if isinstance(document, dict) else {}


def _json(answer: Answer) -> object:
    try:
        return json.loads(answer.body or b"")
    except (ValueError, RecursionError):
        return None


def _subject(value: str | bool | int | None) -> str | None:
    """Numbers become text; what could not be compared or shown safely is refused, never changed."""
    if value is None or isinstance(value, bool):
        return None
    text = str(value)
    return text if len(text) <= _LONGEST_SUBJECT and text.isprintable() else None


def _text(value: str | bool | int | None) -> str | None:
    """One line for people: no control or bidirectional characters, and not longer than a line."""
    if value is None or isinstance(value, bool):
        return None
    text = "".join(character for character in str(value)[: _LONGEST_TEXT * 2] if character.isprintable())
    return text.strip()[:_LONGEST_TEXT] or None


def _email(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > _LONGEST_EMAIL or not value.isprintable() or " " in value:
        return None
    local, at, domain = value.rpartition("@")
    return value if local and at and domain else None


def _says_true(value: str | bool | int | None) -> bool:
    """Some servers write the boolean as text."""
    return value is True or value == "true"


def _picture(value: str | bool | int | None) -> str | None:
    """It is shown in our pages, so nothing but an https address."""
    if not isinstance(value, str) or len(value) > _LONGEST_URL or not value.startswith("https://"):
        return None
    return value if value.isprintable() and value.isascii() and not set(value) & set(" \"'<>\\") else None
