"""What Keybearer knows about a provider, as frozen values.

A provider is data (YAML), so that adding one needs no code; `reading` turns a document into these values and
refuses whatever it does not understand. What cannot be said as data is a named quirk, listed in `QUIRKS`.
"""

import base64
import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

Auth = Literal["oauth2", "api_key", "basic", "client_credentials"]
TokenAuth = Literal["basic", "post", "none"]
Pkce = Literal["S256", "none"]
Effect = Literal["allow", "deny", "ask"]
IdentitySource = Literal["id_token", "userinfo", "token"]
RevokedToken = Literal["refresh_token", "access_token"]
RevocationBody = Literal["form", "json", "query", "path", "bearer"]

RESERVED_NAMES = frozenset({
    "providers", "me", "check", "logout", "sessions", "identities", "register", "login", "refresh", "token",
    "factors", "passkeys", "reauthenticate", "password", "email",
})  # fmt: skip

QUIRKS: Mapping[str, str] = {
    "emails_endpoint": "the address comes from `endpoints.emails`: a list of {email, primary, verified}",
    "error_with_200": "the token endpoint refuses with 200 and an `error` member (or `ok: false`)",
    "issuer_by_tid": "the issuer's `{tenantid}` is to be filled with the id_token's `tid` before comparing",
    "json_token_request": "the token endpoint takes a JSON body instead of a form",
    "refresh_unauthorized_client": "a dead refresh token is refused as `unauthorized_client` that describes it",
    "userinfo_graphql": "userinfo is a POST of `{viewer{id name email avatarUrl}}` as GraphQL",
    "userinfo_post": "userinfo is a POST without a body",
}

_NAME = re.compile(r"[a-z][a-z0-9-]{1,31}")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def name_problem(name: str) -> str | None:
    """Why this cannot be a provider's name, or None."""
    if not _NAME.fullmatch(name):
        return "use 2 to 32 of a-z, 0-9 and '-', beginning with a letter"
    if name in RESERVED_NAMES:
        return f"'{name}' is an address of Keybearer's own; choose another name"
    return None


class ClientSecret:
    """An OAuth client secret. It shows itself through `reveal()` alone, never in a repr, log or traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "ClientSecret(***)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a client secret is not pickled")


@dataclass(frozen=True, slots=True)
class Scope:
    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Field:
    """One input of the form for api_key, basic and client_credentials providers."""

    name: str
    label: str
    secret: bool = True
    placeholder: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """None means: take it from discovery, or the provider has none."""

    authorize: str | None = None
    token: str | None = None
    userinfo: str | None = None
    jwks: str | None = None
    emails: str | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """How a disconnect tells the provider. `url` may hold `{client_id}`, and `{token}` if `send` is path."""

    url: str
    method: str = "POST"
    token: RevokedToken = "refresh_token"  # noqa: S105 - which token, not its value
    send: RevocationBody = "form"
    key: str = "token"
    client_auth: TokenAuth = "none"


@dataclass(frozen=True, slots=True)
class Identity:
    """Where the person is found. Each tuple holds dotted paths (`images.0.url`) tried in order.

    `source` says where these are read; an id_token that comes along is checked whatever it says.
    """

    source: IdentitySource
    subject: tuple[str, ...]
    email: tuple[str, ...] = ()
    email_verified: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    avatar: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Api:
    """Paths under `prefix` go to `base + path`; the prefix stays in the path. The default's prefix is `/`."""

    prefix: str
    base: str

    @property
    def default(self) -> bool:
        return self.prefix == "/"


@dataclass(frozen=True, slots=True)
class Rule:
    """`methods` empty: all. `scopes` None: says nothing on scopes; empty: needs none; else any of them."""

    methods: frozenset[str]
    path: str
    effect: Effect = "allow"
    scopes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    default: Effect = "allow"
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Headers:
    """Request headers beyond the usual: `allow` (lower case) pass; `fixed` are sent unless the caller did.

    `fixed` go with our own calls to the provider's API too, such as a revocation.
    """

    allow: frozenset[str] = frozenset()
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credential:
    """The header that carries the credential upstream; `format` names token or form fields in braces."""

    header: str = "Authorization"
    format: str = "Bearer {access_token}"
    basic: bool = False

    @property
    def names(self) -> frozenset[str]:
        return frozenset(_PLACEHOLDER.findall(self.format))

    def render(self, values: Mapping[str, str]) -> tuple[str, str]:
        """(header name, header value). ValueError, without the value, if no header could carry it."""
        text = _PLACEHOLDER.sub(lambda found: values[found[1]], self.format)
        if self.basic:
            text = "Basic " + base64.b64encode(text.encode()).decode()
        if not text.isascii() or not text.isprintable():
            raise ValueError("the credential holds a character that no header can carry")
        return self.header, text


@dataclass(frozen=True, slots=True)
class GrantLifetime:
    """How long a consent lives at the provider, however often tokens are refreshed."""

    months: int = 0
    days: int = 0

    def ends(self, consented: datetime) -> datetime:
        """The same day of a later month, or that month's last day where it is shorter."""
        month0 = consented.month - 1 + self.months
        year, month = consented.year + month0 // 12, month0 % 12 + 1
        day = min(consented.day, calendar.monthrange(year, month)[1])
        return consented.replace(year=year, month=month, day=day) + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class Provider:
    """One entry of the catalogue, its URL templates filled in. `missing` names the keys still to be set.

    `authorize_params` go with every authorize URL; `sign_in_params` are laid over them for signing in,
    `incremental` for connecting. `token_params` go with every token request. `token_path` leads to the member
    of the token answer that holds the tokens, where there is one (Slack's answer to a refresh has none).
    `assumed_expires_in` is the lifetime in seconds of an access token whose answer names none.
    """

    name: str
    title: str
    auth: Auth
    icon: str | None = None
    sign_in: bool = False
    connect: bool = True
    unverified: bool = False
    generic: bool = False
    docs_url: str | None = None
    sources: tuple[str, ...] = ()
    issuer: str | None = None
    discovery: str | None = None
    endpoints: Endpoints = Endpoints()
    token_auth: TokenAuth = "post"  # noqa: S105 - the name of a method, not a secret
    pkce: Pkce = "S256"
    scopes: tuple[Scope, ...] = ()
    sign_in_scopes: tuple[str, ...] = ()
    default_scopes: tuple[str, ...] = ()
    scope_separator: str = " "
    scope_param: str = "scope"
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    incremental: Mapping[str, str] = field(default_factory=dict)
    sign_in_params: Mapping[str, str] = field(default_factory=dict)
    token_params: Mapping[str, str] = field(default_factory=dict)
    token_path: str | None = None
    assumed_expires_in: int | None = None
    refresh_token_rotates: bool = False
    grant_lifetime: GrantLifetime | None = None
    revoke: Revocation | None = None
    identity: Identity | None = None
    account_name: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    credential: Credential = Credential()
    apis: tuple[Api, ...] = ()
    headers: Headers = Headers()
    policy: Policy = Policy()
    raw_token: bool = False
    quirks: frozenset[str] = frozenset()
    callback_path: str | None = None
    allow_addresses: frozenset[str] = frozenset()
    client_id: str | None = None
    client_secret: ClientSecret | None = None
    missing: tuple[str, ...] = ()

    @property
    def configured(self) -> bool:
        """Whether people can use it: everything that only the installation knows has been given."""
        return not self.missing

    @property
    def callback(self) -> str:
        """The path of the redirect URI, to be appended to the tenant's public URL."""
        return self.callback_path or f"/api/auth/{self.name}/callback"

    @property
    def identity_issuer(self) -> str | None:
        """The issuer of "issuer + subject" where no id_token names one: the authorize endpoint, without query.

        The origin alone would not do: two providers may share one, and a subject of each would be one person.
        """
        if self.issuer or not self.endpoints.authorize:
            return self.issuer
        parts = urlsplit(self.endpoints.authorize)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


def split_scopes(text: str) -> tuple[str, ...]:
    """The scopes of a token answer. Some providers take spaces and answer commas, so both separate."""
    return tuple(text.replace(",", " ").split())


def find_value(document: object, paths: tuple[str, ...]) -> str | bool | int | None:
    """The first scalar that one of the dotted paths leads to; digits index lists; empty text is absent."""
    for path in paths:
        value = document
        for part in path.split("."):
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                value = None
        if isinstance(value, str | bool | int) and value != "":
            return value
    return None
