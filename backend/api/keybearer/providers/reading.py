"""Turns one provider's merged YAML document into a `Provider`, or says which key is wrong and what to write.

Pure: no files, no network. `catalogue` finds and merges the documents; docs/providers.md explains the keys.
"""

import re
from collections.abc import Mapping
from typing import Any, get_args

from keybearer.providers import coherence
from keybearer.providers.document import ProviderFileError, Section
from keybearer.providers.model import (
    QUIRKS,
    Api,
    Auth,
    ClientSecret,
    Credential,
    Effect,
    Endpoints,
    Field,
    GrantLifetime,
    Headers,
    Identity,
    IdentitySource,
    Pkce,
    Policy,
    Provider,
    Revocation,
    RevocationBody,
    RevokedToken,
    Rule,
    Scope,
    TokenAuth,
    name_problem,
)
from keybearer.providers.policy import never_forwarded

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SETTING_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_CALLBACK = re.compile(r"/api(?:/[a-z0-9][a-z0-9_-]*)+")
_ADDRESS = re.compile(r"(?:\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")
_RULE_PATH = re.compile(r"/[!$&'()*+,/:=@A-Za-z0-9._~-]*")
_TEMPLATE = re.compile(r"\{([a-z_]+)\}")
_RUN_TIME_TEMPLATES = frozenset({"client_id", "token"})
_URL_KEYS = ("issuer", "discovery", "endpoints", "revoke", "apis")


def read_provider(
    name: str, values: Mapping[str, Any], file: str, client_secret: ClientSecret | None = None
) -> Provider:
    """`file` is how errors name the document. ProviderFileError for anything that is not understood."""
    if not values.get("generic") and (problem := name_problem(name)):
        raise ProviderFileError(file, "name", problem)
    filled, unset = _fill_settings(values, file)
    section = Section(filled, file)
    section.take("settings")
    provider = _provider(name, section, client_secret)
    section.done()
    return coherence.checked(provider, section, unset)


def _provider(name: str, section: Section, client_secret: ClientSecret | None) -> Provider:
    auth = section.choice("auth", get_args(Auth), "oauth2")
    return Provider(
        name=name,
        title=section.required_text("title"),
        auth=auth,
        icon=section.text("icon"),
        sign_in=section.flag("sign_in"),
        connect=section.flag("connect", default=True),
        unverified=section.flag("unverified"),
        generic=section.flag("generic"),
        docs_url=section.url("docs_url"),
        sources=section.texts("sources"),
        issuer=section.url("issuer"),
        discovery=section.url("discovery"),
        endpoints=section.section("endpoints", _endpoints) or Endpoints(),
        token_auth=section.choice("token_auth", get_args(TokenAuth), "post"),
        pkce=section.choice("pkce", get_args(Pkce), "S256"),
        scopes=tuple(Scope(scope, title) for scope, title in section.text_map("scopes").items()),
        sign_in_scopes=section.texts("sign_in_scopes"),
        default_scopes=section.texts("default_scopes"),
        scope_separator=section.choice("scope_separator", (" ", ","), " "),
        scope_param=section.text("scope_param") or "scope",
        authorize_params=section.text_map("authorize_params"),
        incremental=section.text_map("incremental"),
        sign_in_params=section.text_map("sign_in_params"),
        token_params=section.text_map("token_params"),
        token_path=section.text("token_path"),
        assumed_expires_in=section.number("assumed_expires_in"),
        refresh_token_rotates=section.flag("refresh_token_rotates"),
        grant_lifetime=section.section("grant_lifetime", _grant_lifetime),
        revoke=section.section("revoke", _revocation),
        identity=section.section("identity", _identity),
        account_name=section.texts("account_name"),
        fields=section.sections("fields", _field),
        credential=section.section("credential", _credential) or Credential(),
        apis=section.sections("apis", _api),
        headers=section.section("headers", _headers) or Headers(),
        policy=section.section("policy", _policy) or Policy(),
        raw_token=section.flag("raw_token"),
        quirks=_quirks(section),
        callback_path=_callback_path(section),
        allow_addresses=_allow_addresses(section),
        client_id=section.text("client_id"),
        client_secret=client_secret,
    )


def _fill_settings(values: Mapping[str, Any], file: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The document with `{setting}` replaced in its URLs, and the settings that have no value yet."""
    section = Section(values, file)
    settings: dict[str, Any] = section.section("settings", _settings) or {}
    given = {name: value for name, value in settings.items() if value is not None}
    filled = dict(values)
    for key in _URL_KEYS:
        if key in filled:
            filled[key] = _fill(filled[key], given, settings, section, key)
    return filled, tuple(f"settings.{name}" for name in settings if name not in given)


def _settings(section: Section) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in section.names():
        value = section.text(name)
        if value is not None and not _SETTING_VALUE.fullmatch(value):
            raise section.fail(name, "use letters, digits, '.' and '-' only: it becomes part of an address")
        values[name] = value
    return values


def _fill(value: Any, given: Mapping[str, str], known: Mapping[str, Any], section: Section, key: str) -> Any:
    if isinstance(value, dict):
        return {name: _fill(one, given, known, section, f"{key}.{name}") for name, one in value.items()}
    if isinstance(value, list):
        return [_fill(one, given, known, section, f"{key}[{index}]") for index, one in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in _TEMPLATE.findall(value):
        if name not in known and name not in _RUN_TIME_TEMPLATES:
            raise section.fail(key, f"{{{name}}} has no value; add it under settings")
    return _TEMPLATE.sub(lambda found: given.get(found[1], found[0]), value)


def _endpoints(section: Section) -> Endpoints:
    return Endpoints(**{name: section.url(name) for name in ("authorize", "token", "userinfo", "jwks", "emails")})


def _grant_lifetime(section: Section) -> GrantLifetime:
    lifetime = GrantLifetime(months=section.number("months") or 0, days=section.number("days") or 0)
    if lifetime == GrantLifetime():
        raise section.fail("", "write months or days, or leave grant_lifetime out")
    return lifetime


def _revocation(section: Section) -> Revocation:
    url = section.url("url")
    if url is None:
        raise section.fail("url", "missing; add it, or leave revoke out")
    return Revocation(
        url=url,
        method=section.choice("method", ("POST", "DELETE"), "POST"),
        token=section.choice("token", get_args(RevokedToken), "refresh_token"),
        send=section.choice("send", get_args(RevocationBody), "form"),
        key=section.text("key") or "token",
        client_auth=section.choice("client_auth", get_args(TokenAuth), "none"),
    )


def _identity(section: Section) -> Identity:
    subject = section.texts("subject")
    if not subject:
        raise section.fail("subject", "missing; name the member that never changes for one person")
    return Identity(
        source=section.choice("source", get_args(IdentitySource), "userinfo"),
        subject=subject,
        email=section.texts("email"),
        email_verified=section.texts("email_verified"),
        name=section.texts("name"),
        avatar=section.texts("avatar"),
    )


def _field(section: Section) -> Field:
    name = section.required_text("name")
    if not _FIELD_NAME.fullmatch(name):
        raise section.fail("name", "use a-z, 0-9 and '_', beginning with a letter")
    return Field(
        name=name,
        label=section.required_text("label"),
        secret=section.flag("secret", default=True),
        placeholder=section.text("placeholder"),
    )


def _credential(section: Section) -> Credential:
    header = section.text("header") or "Authorization"
    if not _HEADER_NAME.fullmatch(header):
        raise section.fail("header", "not a header name")
    basic = section.flag("basic")
    default = "{username}:{password}" if basic else "Bearer {access_token}"
    return Credential(header=header, format=section.text("format") or default, basic=basic)


def _api(section: Section) -> Api:
    prefix = section.text("prefix") or "/"
    if not prefix.startswith("/") or not prefix.isascii() or "//" in prefix or "%" in prefix:
        raise section.fail("prefix", "begin with '/' and write plain path segments, such as /gmail/")
    base = section.url("base")
    if base is None:
        raise section.fail("base", "missing; add the API's address")
    if "?" in base:
        raise section.fail("base", "an API's address has no query; remove '?' and what follows")
    return Api(prefix=prefix, base=base.rstrip("/"))


def _headers(section: Section) -> Headers:
    fixed = section.text_map("fixed")
    for name in (*section.texts("allow"), *fixed):
        if not _HEADER_NAME.fullmatch(name):
            raise section.fail("allow", f"{name!r} is not a header name")
        if never_forwarded(name):
            raise section.fail("allow", f"{name} never goes upstream from a caller; remove it")
    return Headers(allow=frozenset(name.lower() for name in section.texts("allow")), fixed=fixed)


def _policy(section: Section) -> Policy:
    rules = (*section.sections("first_rules", _rule), *section.sections("rules", _rule))
    return Policy(default=section.choice("default", get_args(Effect), "allow"), rules=rules)


def _rule(section: Section) -> Rule:
    methods = frozenset(section.texts("methods"))
    if unknown := methods - _METHODS:
        raise section.fail("methods", f"{min(unknown)} is not one of {', '.join(sorted(_METHODS))}")
    path = section.required_text("path")
    if not _RULE_PATH.fullmatch(path):
        raise section.fail("path", "begin with '/' and encode nothing; * is one segment, ** any number")
    scopes = section.take("scopes")
    return Rule(
        methods=methods,
        path=path,
        effect=section.choice("effect", get_args(Effect), "allow"),
        scopes=None if scopes is None else frozenset(section.texts("scopes")),
    )


def _quirks(section: Section) -> frozenset[str]:
    quirks = frozenset(section.texts("quirks"))
    if unknown := quirks - QUIRKS.keys():
        raise section.fail("quirks", f"{min(unknown)} is not one of: {', '.join(sorted(QUIRKS))}")
    return quirks


def _callback_path(section: Section) -> str | None:
    path = section.text("callback_path")
    if path is not None and not _CALLBACK.fullmatch(path):
        raise section.fail("callback_path", "begin with /api/ and use plain segments: /api/spotify/callback")
    return path


def _allow_addresses(section: Section) -> frozenset[str]:
    addresses = section.texts("allow_addresses")
    for address in addresses:
        found = _ADDRESS.fullmatch(address)
        if not found or not 0 < int(found[1]) < 65536:
            raise section.fail("allow_addresses", "write host:port, such as 127.0.0.1:8082")
    return frozenset(addresses)
