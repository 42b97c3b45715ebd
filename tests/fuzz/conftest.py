"""One real server for the fuzzers of a module, and what must hold for its every answer and after all of them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openapi_document
import pytest
import requests
from installation import Browser, Installation, Process, installed, log_lines
from keybearer_sandbox.testing import RunningSandbox

# Secrets of the sandbox, and ours in their shape. A prefix alone is no secret: documents show it.
_SECRET = re.compile(rb"sbx_[A-Za-z0-9_-]{6,}|kb[sgkrim]_[0-9A-Za-z]{49}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}")
# What is not even HTTP never reaches the application: the server's parser answers and hangs up.
_NO_HTTP = b"Invalid HTTP request received."
# These end what the next request needs, so that each gets somebody of its own.
DESTRUCTIVE = frozenset(
    {
        "logout",
        "erase_account",
        "end_other_sessions",
        "end_session",
        "unlink_identity",
        "end_connection",
        "remove_factor",
        "change_password",
    }
)
_WEATHER = "extends: api_key\ntitle: Weather\napis: [{base: https://weather.example.com}]\n"


@dataclass
class Answer:
    """`raw` has its content read already, unless it is a stream of events."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: requests.Response

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Target:
    """A signed-in person with a connection and a grant, and somebody else for what ends sessions and accounts."""

    installation: Installation
    process: Process
    person: Browser
    grant: str
    connection: str
    document: dict[str, Any]
    victim: Browser | None = None
    answered: dict[int, int] = field(default_factory=dict)
    http: requests.Session = field(default_factory=requests.Session)

    @property
    def url(self) -> str:
        return self.installation.url

    def credential(self, operation_id: str) -> dict[str, str]:
        """The headers with which an operation is called."""
        if operation_id.startswith("proxy_"):
            return {"Authorization": f"Bearer {self.grant}"}
        browser = self._victim() if operation_id in DESTRUCTIVE else self.person
        return {"Cookie": f"keybearer_session={browser.client.cookies['keybearer_session']}"}

    def real(self, operation_id: str, parameter: str) -> str:
        """A value of a path parameter that leads to something; what the operation may end is made anew."""
        match parameter:
            case "provider":
                return {"start_sign_in": "google", "connect_with_secret": "weather"}.get(operation_id, "spotify")
            case "path":
                return "v1/me"
            case "entry_id":
                return str(self.installation.ledger(self.person, limit="1")[0]["id"])
            case "grant_id":
                return str(self.installation.grant(self.person)["id"])
            case "session_id":
                return str(self._victim().get("/api/auth/me").json()["session"]["id"])
            case "identity_id":
                return str(self._victim().get("/api/auth/identities").json()["items"][0]["id"])
            case "factor_id":
                return str(self._factor())
            case "key_id":
                return str(self.person.post("/api/api-keys", json={"name": "fuzzed"}).json()["id"])
            case "connection_id" if operation_id == "end_connection":
                return str(self.installation.connect(self._victim(), account="bob@example.com")["id"])
            case "connection_id":
                return self.connection
            case _:
                raise AssertionError(f"{parameter} has no real value; add one")

    def send(self, operation_id: str, **request: Any) -> Answer:
        """Sends what `requests` takes, checks what holds for every answer, and answers it."""
        with self.http.request(**request, stream=True, allow_redirects=False, timeout=30) as response:
            streams = response.headers.get("content-type", "").startswith("text/event-stream")
            body = b"" if streams else response.content
        answer = Answer(response.status_code, dict(response.headers), body, response)
        self.answered[answer.status] = self.answered.get(answer.status, 0) + 1
        if operation_id in DESTRUCTIVE and answer.status < 300:
            self._forget_victim()
        check(answer, operation_id)
        return answer

    def declared(self, path: str, method: str) -> set[str]:
        operation = self.document["paths"].get(path, {}).get(method.lower())
        return set(operation["responses"]) if operation else {"405", "404", "401", "400", "403", "422"}

    def check_afterwards(self) -> None:
        """Nothing was lost, and nothing got out."""
        me = self.person.get("/api/auth/me").raise_for_status().json()
        assert me["email"] == "alice@example.com"
        refreshed = self.person.post(f"/api/connections/{self.connection}/refresh")
        assert refreshed.status_code == 200, refreshed.text
        played = self.installation.call(self.grant, "spotify/v1/me")
        assert played.status_code == 200, played.text
        self._look_for_secrets()
        verified = self.installation.command("ledger", "verify")
        assert "sbx_" not in verified.stdout + verified.stderr

    def _look_for_secrets(self) -> None:
        metrics = self.process.internal("/metrics").content
        assert not _SECRET.findall(metrics)
        log = self.installation.log
        assert not _SECRET.findall(log.read_bytes())
        events = [line["event"] for line in log_lines(log)]
        assert "request.crashed" not in events
        assert "errand.failed" not in events

    def _victim(self) -> Browser:
        if self.victim is None:
            self.victim = self.installation.browser()
            self.installation.sign_in(self.victim, "bob@example.com")
        return self.victim

    def _factor(self) -> str:
        """One of the victim's, who showed lately who they are."""
        items = self._victim().get("/api/auth/factors").json()["items"]
        if items:
            return str(items[0]["id"])
        return self.installation.enrol(self._victim(), "bob@example.com").id

    def _forget_victim(self) -> None:
        if self.victim is not None:
            self.victim.close()
            self.victim = None

    def close(self) -> None:
        self._forget_victim()
        self.person.close()
        self.http.close()


def check(answer: Answer, operation_id: str) -> None:
    assert answer.status < 500, f"{answer.status}: {answer.body[:500]!r}"
    headers = {name.lower(): value for name, value in answer.headers.items()}
    said = b"\n".join(f"{name}: {value}".encode("latin-1") for name, value in headers.items())
    secrets = set(_SECRET.findall(said + b"\n" + answer.body))
    # These answer a secret that they made, once.
    shown = {"create_grant": "grant", "create_api_key": "key"}.get(operation_id)
    if shown is not None and answer.status == 201:
        secrets.discard(answer.json()[shown].encode())
    assert not secrets
    if answer.body == _NO_HTTP:
        assert (answer.status, headers.get("connection")) == (400, "close")
        return
    ours = not operation_id.startswith("proxy_") or "keybearer-error" in headers
    if answer.status < 400 or not ours:
        return
    assert headers["content-type"] == "application/problem+json"
    if not answer.body:  # an answer to HEAD
        return
    problem = answer.json()
    assert re.fullmatch(r"[a-z][a-z0-9_]{2,40}", problem["code"])
    assert problem["type"].endswith("#" + problem["code"])
    assert problem["status"] == answer.status
    assert problem["title"]
    assert problem["detail"].endswith(".")
    assert problem["request_id"] == headers["x-request-id"]


@pytest.fixture(scope="module")
def target(
    tmp_path_factory: pytest.TempPathFactory, module_database, keybearer_sandbox_server: RunningSandbox
) -> Iterator[Target]:
    keybearer_sandbox_server.reset()
    folder: Path = tmp_path_factory.mktemp("fuzz")
    database = module_database
    mail = {"SMTP_URL": f"smtp://127.0.0.1:{keybearer_sandbox_server.smtp_port}", "MAIL_FROM": "keybearer@example.com"}
    with installed(folder, database.url, database.owner_url, keybearer_sandbox_server, **mail) as installation:
        (folder / "providers" / "weather.yaml").write_text(_WEATHER)
        process = installation.start()
        person = installation.browser()
        installation.sign_in(person)
        connection = installation.connect(person)
        grant = installation.grant(person, ttl_seconds=86_400)
        target = Target(
            installation, process, person, grant["grant"], connection["id"], openapi_document.of_this_code()
        )
        yield target
        print(f"answers by status: {dict(sorted(target.answered.items()))}")
        target.check_afterwards()
        target.close()
