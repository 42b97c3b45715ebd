"""Every entry that is shipped: complete, sourced, and enforceable."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from urllib.parse import urlsplit

import pytest
from keybearer.providers import catalogue
from keybearer.providers.model import QUIRKS, Policy, Provider, name_problem
from keybearer.providers.policy import canonical_path, decide

BUILT_IN = catalogue.load(None)
ENTRIES = [pytest.param(provider, id=name) for name, provider in BUILT_IN.items()]
CONNECTABLE = [pytest.param(one, id=name) for name, one in BUILT_IN.items() if not one.generic]

EXPECTED = {
    "google", "spotify", "github", "microsoft", "slack", "discord", "gitlab", "notion", "linear", "dropbox",
    "atlassian", "zoom", "hubspot", "salesforce", "oidc", "oauth2", "api_key",
}  # fmt: skip


def urls(value: object) -> Iterator[str]:
    if isinstance(value, str) and "://" in value:
        yield value
    elif isinstance(value, tuple | frozenset):
        for one in value:
            yield from urls(one)
    elif is_dataclass(value):
        for one in fields(value):
            yield from urls(getattr(value, one.name))


def test_the_promised_entries_are_there() -> None:
    assert set(BUILT_IN) == EXPECTED
    assert list(BUILT_IN) == sorted(BUILT_IN)
    assert BUILT_IN.find("nobody") is None


@pytest.mark.parametrize("provider", ENTRIES)
def test_an_entry_is_sourced_or_says_that_it_is_not(provider: Provider) -> None:
    assert provider.sources or provider.unverified
    assert provider.docs_url
    assert provider.generic or name_problem(provider.name) is None


@pytest.mark.parametrize("provider", ENTRIES)
def test_every_address_is_https(provider: Provider) -> None:
    found = [re.sub(r"\{\w+\}", "x", url) for url in urls(provider)]
    assert found
    assert {urlsplit(url).scheme for url in found} == {"https"}


@pytest.mark.parametrize("provider", ENTRIES)
def test_nothing_shipped_opens_private_addresses_or_raw_tokens(provider: Provider) -> None:
    assert not provider.allow_addresses
    assert not provider.raw_token
    assert not provider.configured
    assert provider.client_id is None
    assert provider.client_secret is None


@pytest.mark.parametrize("provider", CONNECTABLE)
def test_an_entry_lacks_nothing_but_what_only_an_installation_knows(provider: Provider) -> None:
    own = {key for key in provider.missing if not key.startswith("settings.")}
    assert own == {"client_id", "client_secret_file"}
    assert [api.default for api in provider.apis].count(True) == 1
    assert provider.identity is not None
    assert provider.account_name


@pytest.mark.parametrize("provider", CONNECTABLE)
def test_scopes_are_declared_and_every_offered_one_opens_something(provider: Provider) -> None:
    declared = {scope.name for scope in provider.scopes}
    in_rules = {name for rule in provider.policy.rules for name in rule.scopes or ()}
    assert len(declared) == len(provider.scopes)
    assert {*provider.sign_in_scopes, *provider.default_scopes, *in_rules} <= declared
    identifying = {"openid", "email", "profile", "oauth", "offline_access", "refresh_token", "read", "read_user"}
    shared_address = {"issues:create", "comments:create"}
    assert declared - in_rules <= identifying | shared_address


@pytest.mark.parametrize("provider", CONNECTABLE)
def test_every_rule_matches_a_path_that_may_be_sent(provider: Provider) -> None:
    for rule in provider.policy.rules:
        path = rule.path.replace("/**", "/deep/er") if "/**" in rule.path else rule.path
        path = canonical_path(path.replace("*", "x").encode())
        method = min(rule.methods, default="POST")
        alone = replace(provider, policy=Policy(provider.policy.default, (rule,)))
        assert decide(alone, method, path, None).rule == rule


@pytest.mark.parametrize("provider", CONNECTABLE)
def test_a_rule_that_lets_through_says_which_scopes_it_needs(provider: Provider) -> None:
    silent = [rule for rule in provider.policy.rules if rule.effect == "allow" and rule.scopes is None]
    assert silent == []


def test_every_quirk_is_used_and_described() -> None:
    used = {quirk for provider in BUILT_IN.values() for quirk in provider.quirks}
    assert used == set(QUIRKS)


def test_spotify_consent_ends_after_six_months() -> None:
    lifetime = BUILT_IN["spotify"].grant_lifetime
    assert lifetime is not None
    assert (lifetime.months, lifetime.days) == (6, 0)


def test_google_asks_for_a_refresh_token_when_connecting_and_for_little_when_signing_in() -> None:
    google = BUILT_IN["google"]
    assert google.authorize_params == {"access_type": "offline", "prompt": "consent"}
    assert google.sign_in_params == {"access_type": "online", "prompt": "select_account"}
    assert google.incremental == {"include_granted_scopes": "true"}
    assert set(google.sign_in_scopes) == {"openid", "email", "profile"}


@pytest.mark.parametrize(
    ("name", "method", "path", "scopes", "effect"),
    [
        ("microsoft", "POST", "/v1.0/me/sendMail", None, "ask"),
        ("microsoft", "POST", "/v1.0/me/SENDMAIL", None, "ask"),
        ("microsoft", "POST", "/v1.0/me/microsoft.graph.sendMail", None, "ask"),
        ("microsoft", "POST", "/beta/users/x/sendMail", None, "ask"),
        ("microsoft", "POST", "/v1.0/me/messages/1/send", ["Mail.Send"], "ask"),
        ("microsoft", "POST", "/v1.0/me/sendMail", ["Mail.Read"], "deny"),
        ("microsoft", "POST", "/v1.0/%24batch", None, "deny"),
        ("microsoft", "GET", "/v1.0/me/messages", ["Mail.Read"], "allow"),
        ("microsoft", "DELETE", "/v1.0/me/messages/1", ["Mail.Read"], "deny"),
        ("microsoft", "DELETE", "/v1.0/users('x')", None, "deny"),
        ("microsoft", "POST", "/v1.0/me/mailFolders/inbox/messageRules", None, "deny"),
        ("gitlab", "GET", "/api/v4/projects", ["read_api"], "allow"),
        ("gitlab", "POST", "/api/v4/projects/1/issues", ["read_api"], "deny"),
        ("gitlab", "POST", "/api/v4/projects/1/issues", ["api"], "allow"),
        ("gitlab", "POST", "/api/v4/user/keys", None, "deny"),
        ("gitlab", "POST", "/api/v4/users/1/gpg_keys", None, "deny"),
        ("gitlab", "POST", "/api/v4/projects/1/access_tokens", None, "deny"),
        ("gitlab", "POST", "/api/v4/personal_access_tokens", None, "deny"),
        ("gitlab", "POST", "/api/graphql", None, "deny"),
        ("gitlab", "POST", "/oauth/token", None, "deny"),
        ("slack", "POST", "/api/chat.postMessage", ["chat:write"], "allow"),
        ("slack", "GET", "/api/chat.postMessage", ["channels:read"], "deny"),
        ("slack", "POST", "/api/admin.users.remove", None, "deny"),
        ("notion", "POST", "/v1/oauth/token", None, "deny"),
        ("notion", "GET", "/v1/pages/1", None, "allow"),
        ("linear", "POST", "/graphql", ["read"], "deny"),
        ("linear", "POST", "/graphql", ["write"], "allow"),
        ("dropbox", "POST", "/2/files/permanently_delete", None, "deny"),
        ("dropbox", "POST", "/2/files/upload", ["files.content.read"], "deny"),
        ("atlassian", "GET", "/ex/jira/c/rest/api/3/issue/A-1", ["read:jira-work"], "allow"),
        ("atlassian", "POST", "/ex/jira/c/rest/api/3/issue", ["read:jira-work"], "deny"),
        ("atlassian", "POST", "/ex/jira/c/rest/api/3/search/jql", ["read:jira-work"], "allow"),
        ("zoom", "POST", "/v2/users/me/meetings", ["meeting:write:meeting"], "allow"),
        ("zoom", "DELETE", "/v2/users/me", None, "deny"),
        ("hubspot", "PATCH", "/crm/v3/objects/contacts/1", ["crm.objects.contacts.read"], "deny"),
        ("hubspot", "POST", "/crm/v3/objects/contacts/search", ["crm.objects.contacts.read"], "allow"),
        ("salesforce", "GET", "/services/data/v62.0/sobjects/Account", ["api"], "allow"),
        ("salesforce", "POST", "/services/data/v62.0/composite/batch", None, "deny"),
        ("salesforce", "GET", "/home/home.jsp", None, "deny"),
        ("discord", "GET", "/users/@me/guilds", ["guilds"], "allow"),
        ("discord", "GET", "/users/%40me/guilds", ["identify"], "deny"),
    ],
)
def test_the_shipped_policies(name: str, method: str, path: str, scopes: list[str] | None, effect: str) -> None:
    sent = canonical_path(path.encode())
    assert decide(BUILT_IN[name], method, sent, scopes).effect == effect
