"""An access token leaves where the provider's file says so, for whoever has just shown a factor."""

from collections.abc import Iterator

import pytest
from installation import Browser, free_port
from signin.site import Site, site_of


@pytest.fixture(scope="module")
def open_site(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Site]:
    """Its second process has read a Spotify whose tokens may be taken out."""
    with site_of(tmp_path_factory.mktemp("open"), module_database, keybearer_sandbox_server) as site:
        spotify = site.folder / "providers" / "spotify.yaml"
        spotify.write_text(f"{spotify.read_text()}raw_token: true\n")
        site.running.append(site.start(port=free_port()))
        yield site


@pytest.fixture
def opened(open_site: Site) -> Browser:
    return open_site.browser(open_site.running[1].port)


def test_the_whole_way(open_site: Site, opened: Browser, sandbox) -> None:
    browser = open_site.browser()
    open_site.sign_in(browser)
    path = f"/api/connections/{open_site.connect(browser)['id']}/token"
    opened.client.cookies.update(browser.client.cookies)
    refused = opened.post(path)
    assert (refused.status_code, refused.json()["code"], refused.json()["next"]) == (403, "reauthenticate", "enrol")
    open_site.sign_in_fresh(browser)
    opened.client.cookies.update(browser.client.cookies)
    assert opened.post(path).json()["next"] == "enrol", "a fresh sign-in alone is no factor"
    open_site.enrol(browser)
    opened.client.cookies.update(browser.client.cookies)
    answer = opened.post(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json()["access_token"]
    assert token.startswith("sbx_")
    assert browser.post(path).json()["code"] == "raw_token_off"
    entry = open_site.ledger(browser, action="connection.token_revealed")[0]
    assert (entry["outcome"], entry["provider"]) == ("ok", "spotify")
    assert token not in open_site.log.read_text() + str(open_site.ledger(browser))
