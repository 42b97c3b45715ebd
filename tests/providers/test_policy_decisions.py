"""Which API a path belongs to, and whether a grant may call it."""

import dataclasses
from collections.abc import Iterable

import pytest
from keybearer.kit.errors import NotFound
from keybearer.providers import catalogue, policy
from keybearer.providers.model import Api, Effect, Policy, Provider, Rule

BUILT_IN = catalogue.load(None)
GMAIL = "https://www.googleapis.com/auth/gmail."
CALENDAR = "https://www.googleapis.com/auth/calendar."


def provider(default: Effect = "allow", *rules: Rule) -> Provider:
    return Provider("acme", "Acme", "oauth2", policy=Policy(default, rules))


def rule(path: str, effect: Effect = "allow", methods: Iterable[str] = (), scopes: Iterable[str] | None = None) -> Rule:
    return Rule(frozenset(methods), path, effect, None if scopes is None else frozenset(scopes))


@pytest.mark.parametrize(
    ("path", "url"),
    [
        (b"/gmail/v1/users/me/messages", b"https://gmail.googleapis.com/gmail/v1/users/me/messages"),
        (b"/upload/gmail/v1/x", b"https://gmail.googleapis.com/upload/gmail/v1/x"),
        (b"/upload/drive/v3/files", b"https://www.googleapis.com/upload/drive/v3/files"),
        (b"/calendar/v3/calendars", b"https://www.googleapis.com/calendar/v3/calendars"),
        (b"/v1/documents", b"https://docs.googleapis.com/v1/documents"),
        (b"/v1/documents/1", b"https://docs.googleapis.com/v1/documents/1"),
        (b"/v1/documentsx", b"https://www.googleapis.com/v1/documentsx"),
        (b"/gmail", b"https://www.googleapis.com/gmail"),
        (b"/", b"https://www.googleapis.com/"),
    ],
)
def test_the_longest_prefix_wins(path: bytes, url: bytes) -> None:
    assert policy.route(BUILT_IN["google"], path)[1] == url


def test_order_does_not_matter_and_a_base_may_have_a_path() -> None:
    apis = (
        Api("/a/b/", "https://deep.example"),
        Api("/", "https://x.example/api"),
        Api("/a/", "https://a.example"),
    )
    for order in (apis, apis[::-1]):
        acme = Provider("acme", "Acme", "oauth2", apis=order)
        assert policy.route(acme, b"/a/b/c")[1] == b"https://deep.example/a/b/c"
        assert policy.route(acme, b"/a/c")[1] == b"https://a.example/a/c"
        assert policy.route(acme, b"/c") == (Api("/", "https://x.example/api"), b"https://x.example/api/c")


def test_a_provider_without_an_api_says_so() -> None:
    with pytest.raises(NotFound, match="provider_has_no_api"):
        policy.route(BUILT_IN["oidc"], b"/x")


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b/", True),
        ("/a/*", "/a/", False),
        ("/a/*", "/a/b/c", False),
        ("/a/**", "/a", True),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/ab", False),
        ("/a/**/z", "/a/b/c/z", True),
        ("/a/*keys/**", "/a/gpg_keys/1", True),
        ("/a/*keys/**", "/a/keys", True),
        ("/a.b", "/axb", False),
        ("/v1.0/$batch", "/v1.0/%24batch", True),
        ("/files/delete:now", "/files/delete%3Anow", True),
        ("/user/keys", "/USER/Keys", True),
        ("/**", "/anything/at/all", True),
        ("/a", "/a\n", False),
    ],
)
def test_globs(glob: str, path: str, matches: bool) -> None:
    decision = policy.decide(provider("allow", rule(glob, "deny")), "GET", path.encode(), None)
    assert (decision.effect == "deny") is matches


@pytest.mark.parametrize(
    ("default", "rules", "scopes", "effect", "reason"),
    [
        ("allow", [], None, "allow", "default"),
        ("deny", [], None, "deny", "default"),
        ("ask", [], None, "ask", "default"),
        ("allow", [], ["read"], "deny", "scope_unmapped"),
        ("allow", [rule("/x")], ["read"], "deny", "scope_unmapped"),
        ("allow", [rule("/x", scopes=["read"])], ["read"], "allow", "rule"),
        ("allow", [rule("/x", scopes=["read", "all"])], ["all"], "allow", "rule"),
        ("allow", [rule("/x", scopes=["read"])], ["write"], "deny", "scope_missing"),
        ("allow", [rule("/x", scopes=["read"])], [], "deny", "scope_missing"),
        ("allow", [rule("/x", scopes=[])], [], "allow", "rule"),
        ("deny", [rule("/x", scopes=["read"])], None, "allow", "rule"),
        ("allow", [rule("/x", "deny"), rule("/x", scopes=["read"])], ["read"], "deny", "rule"),
        ("allow", [rule("/x", scopes=["read"]), rule("/x", "deny")], ["read"], "allow", "rule"),
        ("allow", [rule("/x", "ask"), rule("/x", scopes=["read"])], ["read"], "ask", "rule"),
        ("allow", [rule("/x", "ask"), rule("/x", scopes=["read"])], ["write"], "deny", "scope_missing"),
        ("allow", [rule("/x", "ask"), rule("/x", scopes=["read"])], None, "ask", "rule"),
    ],
)
def test_the_first_rule_decides_and_narrowed_scopes_fail_closed(
    default: Effect, rules: list[Rule], scopes: list[str] | None, effect: Effect, reason: str
) -> None:
    decision = policy.decide(provider(default, *rules), "GET", b"/x", scopes)
    assert (decision.effect, decision.reason) == (effect, reason)


@pytest.mark.parametrize(
    ("method", "denied"), [("GET", True), ("get", True), ("HEAD", True), ("head", True), ("POST", False)]
)
def test_methods_match_in_any_case_and_head_is_get(method: str, denied: bool) -> None:
    decision = policy.decide(provider("allow", rule("/x", "deny", ["GET"])), method, b"/x", None)
    assert (decision.effect == "deny") is denied


@pytest.mark.parametrize(
    ("name", "method", "path", "scopes", "effect"),
    [
        ("google", "GET", "/gmail/v1/users/me/messages", [GMAIL + "readonly"], "allow"),
        ("google", "GET", "/gmail/v1/users/me/messages", [GMAIL + "send"], "deny"),
        ("google", "POST", "/gmail/v1/users/me/messages/send", [GMAIL + "readonly"], "deny"),
        ("google", "POST", "/gmail/v1/users/me/messages/send", [GMAIL + "send"], "ask"),
        ("google", "POST", "/gmail/v1/users/me/messages/send", None, "ask"),
        ("google", "POST", "/upload/gmail/v1/users/me/messages/send", None, "ask"),
        ("google", "POST", "/gmail/v1/users/me/messages/1/modify", [GMAIL + "readonly"], "deny"),
        ("google", "POST", "/gmail/v1/users/me/messages/1/modify", [GMAIL + "modify"], "allow"),
        ("google", "DELETE", "/gmail/v1/users/me/messages/1", None, "deny"),
        ("google", "PUT", "/gmail/v1/users/me/settings/autoForwarding", None, "deny"),
        ("google", "GET", "/calendar/v3/calendars/primary/events", [CALENDAR + "readonly"], "allow"),
        ("google", "GET", "/calendar/v3/calendars/primary/events", [GMAIL + "readonly"], "deny"),
        ("google", "POST", "/calendar/v3/calendars/primary/events", [CALENDAR + "readonly"], "deny"),
        ("google", "POST", "/calendar/v3/calendars/primary/events", [CALENDAR + "events"], "allow"),
        ("google", "POST", "/batch/gmail/v1", None, "deny"),
        ("google", "GET", "/youtube/v3/channels", [GMAIL + "readonly"], "deny"),
        ("google", "GET", "/youtube/v3/channels", None, "allow"),
        ("spotify", "GET", "/v1/search", ["user-read-email"], "allow"),
        ("spotify", "GET", "/v1/me", ["user-modify-playback-state"], "deny"),
        ("spotify", "PUT", "/v1/me/player/play", ["user-modify-playback-state"], "allow"),
        ("spotify", "PUT", "/v1/me/player/play", ["user-read-playback-state"], "deny"),
        ("spotify", "GET", "/v1/me/player", ["user-read-playback-state"], "allow"),
        ("spotify", "GET", "/v1/me/player", ["user-modify-playback-state"], "deny"),
        ("spotify", "GET", "/v1/me/playlists", ["playlist-read-private"], "allow"),
        ("spotify", "GET", "/v1/me/playlists", ["user-library-read"], "deny"),
        ("spotify", "PUT", "/v1/me/tracks", ["user-library-modify"], "allow"),
        ("spotify", "PUT", "/v1/me/tracks", ["user-library-read"], "deny"),
        ("spotify", "PUT", "/v1/me/player/play", None, "allow"),
        ("github", "GET", "/user", ["read:user"], "allow"),
        ("github", "GET", "/repos/o/r/issues", ["read:user"], "deny"),
        ("github", "POST", "/repos/o/r/issues", ["repo"], "allow"),
        ("github", "PUT", "/repos/o/r/contents/.github/workflows/ci.yml", ["repo"], "deny"),
        ("github", "PUT", "/repos/o/r/pulls/7/merge", None, "ask"),
        ("github", "DELETE", "/repos/o/r", None, "deny"),
        ("github", "delete", "/Repos/o/r/", None, "deny"),
        ("github", "DELETE", "/repositories/1", None, "deny"),
        ("github", "POST", "/user/gpg_keys", None, "deny"),
        ("github", "POST", "/graphql", ["repo"], "deny"),
    ],
)
def test_the_catalogue_decides(name: str, method: str, path: str, scopes: list[str] | None, effect: Effect) -> None:
    assert policy.decide(BUILT_IN[name], method, path.encode(), scopes).effect == effect


def test_a_changed_default_applies_where_no_rule_speaks() -> None:
    strict = dataclasses.replace(BUILT_IN["spotify"], policy=Policy("deny", BUILT_IN["spotify"].policy.rules))
    assert policy.decide(strict, "GET", b"/v1/unheard-of", None).effect == "deny"
    assert policy.decide(strict, "GET", b"/v1/search", None).effect == "allow"
