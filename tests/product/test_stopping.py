"""A server that is told to end does so soon, though its database swallows every word."""

import re
from pathlib import Path

import pytest
from bench.relay import Relay
from installation import installed, log_lines


@pytest.mark.long
def test_a_database_that_is_away_holds_no_server_up(postgres_server, module_database, sandbox, tmp_path: Path) -> None:
    """The pod's grace period is 60 s, and a restore waits for the last server to be gone."""
    relay = Relay(postgres_server.socket_folder, tmp_path / "relay")
    through = re.sub(r"host=[^&]+", f"host={tmp_path / 'relay'}", module_database.url)
    assert through != module_database.url
    with relay.running(), installed(tmp_path / "site", through, module_database.owner_url, sandbox) as site:
        process = site.start()
        browser = site.browser()
        site.sign_in(browser)
        site.connect(browser)
        assert site.call(site.grant(browser)["grant"], "spotify/v1/me").status_code == 200
        relay.drop()
        process.popen.terminate()
        assert process.popen.wait(timeout=25) == 0
    assert [line for line in log_lines(site.log) if line["event"] == "server.stopping"]
