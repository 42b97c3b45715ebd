"""Whether the parts of a provider fit together, and what an installation still has to give.

Generic entries (`oidc`, `oauth2`, `api_key`) are incomplete on purpose: there, what lacks is `missing`;
everywhere else it is an error in the file.
"""

from collections import Counter
from dataclasses import replace

from keybearer.providers.document import Section
from keybearer.providers.model import Provider


def checked(provider: Provider, section: Section, unset: tuple[str, ...]) -> Provider:
    """The provider with `discovery` and `missing` worked out; ProviderFileError if it contradicts itself."""
    provider = _with_discovery(provider)
    _check_scopes(provider, section)
    _check_form(provider, section)
    _check_apis(provider, section)
    if provider.sign_in and provider.auth != "oauth2":
        raise section.fail("sign_in", "only a provider with auth: oauth2 can sign people in; remove it")
    incomplete = _incomplete(provider)
    if incomplete and not provider.generic:
        key, problem = next(iter(incomplete.items()))
        raise section.fail(key, problem)
    return replace(provider, missing=(*unset, *incomplete, *_missing_client(provider)))


def _with_discovery(provider: Provider) -> Provider:
    explicit = provider.endpoints
    complete = explicit.authorize and explicit.token and (explicit.jwks or not _reads_id_token(provider))
    if provider.discovery or not provider.issuer or complete:
        return provider
    return replace(provider, discovery=provider.issuer.rstrip("/") + "/.well-known/openid-configuration")


def _check_scopes(provider: Provider, section: Section) -> None:
    declared = {scope.name for scope in provider.scopes}
    wanted = {
        "sign_in_scopes": set(provider.sign_in_scopes),
        "default_scopes": set(provider.default_scopes),
        "policy.rules": {name for rule in provider.policy.rules for name in rule.scopes or ()},
    }
    for key, names in wanted.items():
        if unknown := names - declared:
            raise section.fail(key, f"the scope {min(unknown)!r} has no title; add it under scopes")


def _check_form(provider: Provider, section: Section) -> None:
    if provider.auth == "oauth2" and provider.fields:
        raise section.fail("fields", "only api_key, basic and client_credentials have a form; remove it")
    names = Counter(field.name for field in provider.fields)
    if names and max(names.values()) > 1:
        raise section.fail("fields", "two fields have the same name; rename one")
    given = set(names) if provider.auth in {"api_key", "basic"} else {"access_token"}
    if unknown := provider.credential.names - given:
        raise section.fail("credential.format", f"{{{min(unknown)}}} is not one of: {', '.join(sorted(given))}")
    if provider.auth == "client_credentials" and not {"client_id", "client_secret"} <= set(names):
        raise section.fail("fields", "client_credentials asks for client_id and client_secret; add both")


def _check_apis(provider: Provider, section: Section) -> None:
    prefixes = Counter(api.prefix for api in provider.apis)
    if prefixes and prefixes["/"] != 1:
        raise section.fail("apis", "exactly one entry is the default; give it the prefix /, or leave prefix out")
    if repeated := [prefix for prefix, count in prefixes.items() if count > 1]:
        raise section.fail("apis", f"the prefix {repeated[0]} is there twice; remove one")


def _incomplete(provider: Provider) -> dict[str, str]:
    """Key → what to do, for whatever the provider cannot work without."""
    wanted: dict[str, str] = {}
    endpoints = provider.endpoints
    if provider.connect and not provider.apis:
        wanted["apis"] = "missing; add the API's address, or connect: false"
    if provider.auth == "client_credentials" and not endpoints.token:
        wanted["endpoints.token"] = "missing; add the token endpoint"
    if provider.auth != "oauth2":
        return wanted
    identity = provider.identity
    if provider.sign_in and not identity:
        wanted["identity"] = "missing; sign-in needs to know who the person is"
    if _reads_id_token(provider) and not provider.issuer:
        return wanted | {"issuer": "missing; without it no id_token can be checked"}
    if provider.discovery:
        return wanted
    if not endpoints.authorize:
        wanted["endpoints.authorize"] = "missing; add it, or issuer for a server with discovery"
    if not endpoints.token:
        wanted["endpoints.token"] = "missing; add it, or issuer for a server with discovery"
    if identity and identity.source == "userinfo" and not endpoints.userinfo:
        wanted["endpoints.userinfo"] = "missing; identity reads from it"
    return wanted


def _missing_client(provider: Provider) -> tuple[str, ...]:
    """What an OAuth client still lacks; in client_credentials each person brings their own."""
    if provider.auth != "oauth2":
        return ()
    public = provider.token_auth == "none"  # noqa: S105 - the name of a method, not a secret
    return (
        *(("client_id",) if provider.client_id is None else ()),
        *(("client_secret_file",) if not (public or provider.client_secret) else ()),
    )


def _reads_id_token(provider: Provider) -> bool:
    return provider.identity is not None and provider.identity.source == "id_token"
