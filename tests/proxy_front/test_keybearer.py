"""A whole Keybearer behind nginx: a person signs in, connects, gives a grant; an agent calls; events arrive."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx2
import pytest
from installation import Browser, Installation, Process, free_port, installed, log_lines
from keybearer.cli import outside
from proxy_front.conftest import ROOMY
from proxy_front.front import Front, front


@dataclass
class Site:
    """People come to the front's port, so that is the public address; the backend listens beside it."""

    installation: Installation
    front: Front
    backend: Process

    def browser(self) -> Browser:
        return self.installation.browser(self.front.port)

    def call(self, grant: str, path: str, **options) -> httpx2.Response:
        return self.installation.call(grant, path, port=self.front.port, **options)


@pytest.fixture(scope="module")
def site(tmp_path_factory, module_database, keybearer_sandbox_server) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    urls = (module_database.url, module_database.owner_url)
    with installed(folder / "installation", *urls, keybearer_sandbox_server, TRUSTED_PROXIES="127.0.0.1") as made:
        backend_port = free_port()
        with front(folder / "front", backend_port, **ROOMY) as started:
            made.port = started.port
            made.write_provider_files()
            yield Site(made, started, made.start(port=backend_port))


@pytest.fixture
def person(site: Site) -> Iterator[Browser]:
    browser = site.browser()
    site.installation.sign_in(browser)
    yield browser
    browser.close()


def test_a_person_signs_in_connects_and_an_agent_calls(site: Site, person: Browser) -> None:
    site.installation.connect(person, "spotify")
    grant = site.installation.grant(person)["grant"]
    answer = site.call(grant, "spotify/v1/me", headers={"Keybearer-Reason": "to see that it works"})

    assert answer.status_code == 200
    rows = site.installation.ledger(person, action="proxy")
    assert rows[0]["reason"] == "to see that it works"
    assert rows[0]["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-request-id"] in {line["request_id"] for line in site.front.lines()}


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/api", 200), ("/api/health", 200), ("/api/auth/me", 401), ("/api/nothing", 404), ("/livez", 404)],
)
def test_each_security_header_is_there_once(site: Site, path: str, status: int) -> None:
    answer = site.front.ask(path, headers={"Host": f"localhost:{site.front.port}"})

    assert answer.status == status
    for name in (
        "X-Content-Type-Options",
        "X-Frame-Options",
        "Content-Security-Policy",
        "Referrer-Policy",
        "Permissions-Policy",
        "Cross-Origin-Opener-Policy",
        "Cache-Control",
        "X-Request-Id",
    ):
        assert answer.one(name)


def answered_by(installation: Installation) -> set[str]:
    return {line["request_id"] for line in log_lines(installation.log) if line["event"] == "request.answered"}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come true within 10 s"
        time.sleep(0.02)


def test_the_backend_believes_nginx_and_nobody_behind_it(site: Site) -> None:
    headers = {"Host": f"localhost:{site.front.port}", "X-Request-Id": "chosen-by-a-stranger"}
    answer = site.front.ask("/api/health", headers=headers)
    last = site.front.lines()[-1]

    assert answer.one("X-Request-Id") == last["request_id"] != "chosen-by-a-stranger"
    wait_until(lambda: last["request_id"] in answered_by(site.installation))  # logged after the answer went out


async def test_the_outside_checks_of_verify_pass(site: Site) -> None:
    findings = await outside.check(site.installation.url)

    assert len(findings) >= 7
    assert [each for each in findings if each.problem] == []


def test_a_host_that_is_nobodys_is_refused(site: Site) -> None:
    answer = site.front.ask("/api/health", headers={"Host": "elsewhere.test"})

    assert (answer.status, answer.json()["code"]) == (404, "host_unknown")


def test_events_arrive_through_nginx(site: Site, person: Browser) -> None:
    site.installation.connect(person, "spotify")
    grant = site.installation.grant(person)
    with person.client.stream("GET", "/api/events", timeout=20) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        with site.browser().client as other:
            other.cookies.update(person.client.cookies)
            assert other.delete(f"/api/grants/{grant['id']}").status_code in {200, 204}
        for line in stream.iter_lines():
            if line.startswith("data:") and grant["id"] in line:
                break
        else:
            raise AssertionError("the stream ended without the event")


def test_a_mebibyte_is_streamed_through_both_proxies(site: Site, person: Browser) -> None:
    site.installation.connect(person, "spotify")
    grant = site.installation.grant(person)["grant"]
    answer = site.call(grant, "spotify/v1/stream", params={"bytes": 1024 * 1024})

    assert (answer.status_code, len(answer.content)) == (200, 1024 * 1024)


def test_an_encoded_path_is_judged_by_the_backend(site: Site, person: Browser) -> None:
    """nginx would have made a plain path of it, had it touched it."""
    site.installation.connect(person, "spotify")
    grant = site.installation.grant(person)["grant"]
    headers = {"Authorization": f"Bearer {grant}", "Host": f"localhost:{site.front.port}"}
    answer = site.front.ask("/api/proxy/spotify/v1/x/../me", headers=headers)

    assert (answer.status, answer.one("Keybearer-Error")) == (400, "path_refused")


def test_another_application_asks_who_is_signed_in(tmp_path, site: Site, person: Browser) -> None:
    """`auth_request` in a location of the operator's own; what the caller claims to be does not get through."""
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "application.conf").write_text(
        "location /application/ {\n"
        "    auth_request /.keybearer/check;\n"
        "    auth_request_set $signed_in $upstream_http_keybearer_user;\n"
        "    add_header Signed-In $signed_in always;\n"
        "    try_files /theme.js =404;\n"
        "}\n"
    )
    with front(tmp_path, site.backend.port, **ROOMY) as started:
        host = {"Host": f"localhost:{site.front.port}"}
        cookie = "; ".join(f"{name}={value}" for name, value in person.client.cookies.items())
        stranger = started.ask("/application/x", headers=host | {"Keybearer-User": "admin"})
        known = started.ask("/application/x", "GET", host | {"Cookie": cookie, "Keybearer-User": "admin"})

    me = person.get("/api/auth/me").json()
    assert (stranger.status, stranger.json()["code"]) == (401, "not_signed_in")
    assert stranger.one("WWW-Authenticate") == "Bearer"
    assert (known.status, known.one("Signed-In")) == (200, (me.get("user") or me)["id"])


def test_nothing_secret_is_in_nginxs_logs(site: Site, person: Browser) -> None:
    site.installation.connect(person, "spotify")
    grant = site.installation.grant(person)["grant"]
    site.call(grant, "spotify/v1/me")
    written = site.front.access_log.read_text() + site.front.error_log.read_text()

    for secret in (grant[:16], "kbs_", "sbx_", "code=", "state="):
        assert secret not in written
    assert all(json.loads(line) for line in site.front.access_log.read_text().splitlines())
