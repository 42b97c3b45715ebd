"""What an installation's own directory adds to and changes in the catalogue."""

from pathlib import Path

import pytest
from keybearer.providers import catalogue
from keybearer.providers.document import ProviderFileError

SANDBOX_SPOTIFY = """
client_id: kb-spotify
endpoints:
  authorize: http://127.0.0.1:8082/spotify/authorize
  token: http://127.0.0.1:8082/spotify/api/token
  userinfo: http://127.0.0.1:8082/spotify/v1/me
apis: [{base: "http://127.0.0.1:8082/spotify"}]
allow_addresses: ["127.0.0.1:8082"]
"""

FULL = """
title: Acme
endpoints: {authorize: https://acme.example/authorize, token: https://acme.example/token}
apis: [{base: https://api.acme.example}]
"""


def write(folder: Path, name: str, text: str, secret: str | None = None) -> None:
    (folder / f"{name}.yaml").write_text(text)
    if secret is not None:
        (folder / f"{name}.secret").write_text(secret)


def test_an_override_changes_its_keys_and_keeps_the_others(tmp_path: Path) -> None:
    write(tmp_path, "spotify", SANDBOX_SPOTIFY, "s3cret\n")

    spotify = catalogue.load(tmp_path)["spotify"]

    built_in = catalogue.load(None)["spotify"]
    assert spotify.configured
    assert spotify.client_id == "kb-spotify"
    assert spotify.client_secret is not None
    assert spotify.client_secret.reveal() == "s3cret"
    assert spotify.endpoints.token == "http://127.0.0.1:8082/spotify/api/token"
    assert spotify.allow_addresses == {"127.0.0.1:8082"}
    assert (spotify.title, spotify.scopes, spotify.policy) == (
        built_in.title,
        built_in.scopes,
        built_in.policy,
    )


def test_a_client_secret_never_shows(tmp_path: Path) -> None:
    write(tmp_path, "spotify", SANDBOX_SPOTIFY, "s3cret")

    spotify = catalogue.load(tmp_path)["spotify"]

    assert "s3cret" not in f"{spotify!r} {spotify.client_secret} {spotify.client_secret!r}"


def test_a_secret_may_lie_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "sp").write_text("elsewhere")
    write(tmp_path, "spotify", SANDBOX_SPOTIFY + "client_secret_file: secrets/sp\n")

    secret = catalogue.load(tmp_path)["spotify"].client_secret

    assert secret is not None
    assert secret.reveal() == "elsewhere"


@pytest.mark.parametrize(
    ("text", "secret", "missing"),
    [
        ("client_id: x", None, ("client_secret_file",)),
        ("token_auth: post", "s", ("client_id",)),
        ("{client_id: x, token_auth: none}", None, ()),
    ],
)
def test_without_client_credentials_a_provider_is_there_but_not_configured(
    tmp_path: Path, text: str, secret: str | None, missing: tuple[str, ...]
) -> None:
    write(tmp_path, "spotify", text, secret)

    spotify = catalogue.load(tmp_path)["spotify"]

    assert spotify.missing == missing
    assert spotify.configured is (not missing)


def test_a_new_provider_extends_the_generic_one(tmp_path: Path) -> None:
    write(tmp_path, "our-idp", "{extends: oidc, issuer: 'https://id.example', client_id: kb}", "s")

    installed = catalogue.load(tmp_path)

    idp = installed["our-idp"]
    assert (idp.title, idp.icon, idp.generic, idp.sign_in) == ("Our Idp", None, False, True)
    assert idp.discovery == "https://id.example/.well-known/openid-configuration"
    assert idp.configured
    assert idp.callback == "/api/auth/our-idp/callback"
    assert installed["oidc"].missing == ("issuer", "client_id", "client_secret_file")


def test_a_generic_entry_becomes_a_provider_by_overriding_it(tmp_path: Path) -> None:
    write(tmp_path, "oidc", "{issuer: 'http://127.0.0.1:9/oidc', client_id: kb}", "s")

    oidc = catalogue.load(tmp_path)["oidc"]

    assert (oidc.generic, oidc.configured, oidc.title) == (False, True, "OpenID Connect")


def test_an_api_key_provider_is_a_few_lines(tmp_path: Path) -> None:
    write(tmp_path, "weather", "{extends: api_key, apis: [{base: 'https://api.weather.example'}]}")

    weather = catalogue.load(tmp_path)["weather"]

    assert weather.configured
    assert weather.credential.render({"api_key": "k1"}) == ("Authorization", "Bearer k1")


def test_null_removes_a_key_and_first_rules_go_before_the_built_in_ones(tmp_path: Path) -> None:
    write(
        tmp_path,
        "spotify",
        "{grant_lifetime: null, policy: {first_rules: [{path: /v1/me, effect: deny}]}}",
    )

    spotify = catalogue.load(tmp_path)["spotify"]

    assert spotify.grant_lifetime is None
    assert spotify.policy.rules[0].effect == "deny"
    assert spotify.policy.rules[1:] == catalogue.load(None)["spotify"].policy.rules


@pytest.mark.parametrize(
    ("name", "text", "key", "says"),
    [
        ("acme", FULL + "colour: red", "colour", "unknown key"),
        ("acme", FULL + "policy: {rules: [{path: /x, efect: deny}]}", "policy.rules[0].efect", "unknown key"),
        ("acme", FULL + "auth: magic", "auth", "oauth2, api_key"),
        ("acme", FULL + "pkce: plain", "pkce", "S256, none"),
        ("acme", FULL + "sign_in: 'yes'", "sign_in", "true or false"),
        ("acme", FULL + "title: 7", "line 5", "the same key twice"),
        ("acme", FULL + "client_id: 7", "client_id", "quotes"),
        ("acme", FULL + "docs_url: http://acme.example", "docs_url", "use https"),
        ("acme", FULL + "docs_url: https://a:b@acme.example", "docs_url", "no user name"),
        ("acme", FULL + "revoke: {url: 'ftp://acme.example'}", "revoke.url", "use https"),
        ("acme", FULL + "revoke: {url: 'https://{domain}/x'}", "revoke.url", "settings"),
        ("acme", FULL + "settings: {domain: evil.example/x}", "settings.domain", "letters"),
        ("acme", FULL + "default_scopes: [read]", "default_scopes", "add it under scopes"),
        (
            "acme",
            FULL + "policy: {rules: [{path: /x, scopes: [read]}]}",
            "policy.rules",
            "add it under scopes",
        ),
        ("acme", FULL + "policy: {rules: [{path: x}]}", "policy.rules[0].path", "begin with '/'"),
        (
            "acme",
            FULL + "policy: {rules: [{path: /x, methods: [FETCH]}]}",
            "policy.rules[0].methods",
            "FETCH",
        ),
        ("acme", FULL + "quirks: [odd]", "quirks", "odd is not one of"),
        ("acme", FULL + "callback_path: /elsewhere", "callback_path", "/api/"),
        ("acme", FULL + "allow_addresses: [127.0.0.1]", "allow_addresses", "host:port"),
        ("acme", FULL + "grant_lifetime: {}", "grant_lifetime", "months or days"),
        ("acme", FULL + "identity: {source: userinfo, subject: id}", "endpoints.userinfo", "missing"),
        ("acme", FULL + "identity: {source: id_token, subject: sub}", "issuer", "missing"),
        ("acme", FULL + "sign_in: true", "identity", "missing"),
        ("acme", FULL + "fields: [{name: a, label: A}]", "fields", "have a form"),
        ("acme", FULL + "headers: {fixed: {'X Y': a}}", "headers.allow", "not a header name"),
        ("acme", FULL + "extends: nothing", "extends", "not a built-in entry"),
        ("acme", FULL + "client_secret_file: lost", "client_secret_file", "cannot be read"),
        ("acme", "title: Acme", "apis", "missing"),
        ("acme", "{extends: oidc, client_id: x}", "issuer", "missing"),
        ("acme", "{extends: api_key}", "apis", "missing"),
        ("acme", "[1]", "", "mapping"),
        ("acme", "a: b: c", "line 1", "not valid YAML"),
        ("acme", "? [a]\n: b", "line 1", "not valid YAML"),
        ("spotify", "apis: [{prefix: /a/, base: 'https://a.example'}]", "apis", "exactly one"),
        ("spotify", "callback_path: /api/auth/google/callback", "callback_path", "google has the same"),
        ("me", FULL, "name", "another name"),
        ("Acme", FULL, "name", "a-z"),
    ],
)
def test_an_error_names_file_and_key_and_what_to_do(tmp_path: Path, name: str, text: str, key: str, says: str) -> None:
    write(tmp_path, name, text)

    with pytest.raises(ProviderFileError) as caught:
        catalogue.load(tmp_path)

    assert f"{name}.yaml" in caught.value.file
    assert caught.value.key == key
    assert says in caught.value.problem


@pytest.mark.parametrize("secret", ["", "  \n", "two\nlines", "nul\0"])
def test_a_secret_file_holds_one_line(tmp_path: Path, secret: str) -> None:
    write(tmp_path, "spotify", SANDBOX_SPOTIFY, secret)

    with pytest.raises(ProviderFileError, match="one line") as caught:
        catalogue.load(tmp_path)

    assert not secret.strip() or secret not in str(caught.value)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProviderFileError, match="KEYBEARER_PROVIDERS_DIR"):
        catalogue.load(tmp_path / "nowhere")


def test_a_file_with_the_other_ending_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "acme.yml").write_text(FULL)

    with pytest.raises(ProviderFileError, match="rename"):
        catalogue.load(tmp_path)
