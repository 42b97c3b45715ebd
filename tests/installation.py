"""A Keybearer installation for tests: real server processes over a real database, with the sandbox as its providers."""

import base64
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pyotp
import warm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from keybearer.cli import sandbox as provider_files
from keybearer.providers import catalogue
from keybearer_sandbox.testing import RunningSandbox

START_SECONDS = 60
Running = subprocess.Popen[bytes] | warm.Process
# For clients of plain http. By default each loads the whole certificate store first, which takes it 30 ms.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def free_port(count: int = 1) -> int:
    """The first of `count` free ports in a row.

    Below the range that outgoing connections take theirs from, so that nobody gets it before or between our starts.
    """
    while True:
        first = random.SystemRandom().randrange(15_000, 32_000)
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return first


@dataclass
class Browser:
    """A person's browser as far as HTTP goes: a cookie jar that follows redirects by hand, to look at each."""

    base: str
    client: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx2.Client(
            base_url=self.base, follow_redirects=False, trust_env=False, timeout=30, verify=NO_CERTIFICATES
        )

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.get(path, **options)

    def post(self, path: str, json: object = None, **options: Any) -> httpx2.Response:
        return self.client.post(path, json=json, **options)

    def delete(self, path: str, json: object = None) -> httpx2.Response:
        return self.client.request("DELETE", path, json=json)

    def close(self) -> None:
        self.client.close()


@dataclass
class App:
    """An authenticator app, and what it was told."""

    id: str
    secret: str
    recovery_codes: list[str] = field(default_factory=list)

    @classmethod
    def begun(cls, browser: Browser) -> "App":
        begun = browser.post("/api/auth/factors/totp")
        assert begun.status_code == 200, begun.text
        return cls(begun.json()["id"], begun.json()["secret"])

    @classmethod
    def enrolled(cls, browser: Browser) -> "App":
        app = cls.begun(browser)
        confirmed = browser.post("/api/auth/factors/totp/confirm", json={"id": app.id, "code": app.code(-1)})
        assert confirmed.status_code == 200, confirmed.text
        app.recovery_codes = confirmed.json()["recovery_codes"]
        return app

    def code(self, ahead: int = 0) -> str:
        """Of the present step, or of one before or after it; never at a step's very end, while requests travel."""
        left = 30 - time.time() % 30
        if left < 4:
            time.sleep(left)
        return pyotp.TOTP(self.secret).generate_otp(int(time.time()) // 30 + ahead)


@dataclass
class Installation:
    """`folder` holds keys and provider files; every process shares them and the database."""

    folder: Path
    database_url: str
    owner_url: str
    sandbox: RunningSandbox
    port: int = field(default_factory=free_port)
    extra: dict[str, str] = field(default_factory=dict)
    processes: list[Running] = field(default_factory=list)
    browsers: list[Browser] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("keyring", "signing"):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / "primary").write_text("k1")
        (self.folder / "keyring" / "k1").write_text(base64.b64encode(os.urandom(32)).decode())
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "signing" / "k1").write_bytes(pem)
        self.write_provider_files()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def write_provider_files(self) -> None:
        provider_files.write_provider_files(self.folder / "providers", self.sandbox.url)
        for provider in catalogue.load(self.folder / "providers").values():
            self.sandbox.register_redirect_uri(self.url + provider.callback)

    def environment(self, port: int | None = None, internal_port: int | None = None) -> dict[str, str]:
        values = {
            "PUBLIC_URL": self.url,
            "DATABASE_URL": self.database_url,
            "MIGRATION_DATABASE_URL": self.owner_url,
            "KEYRING_DIR": str(self.folder / "keyring"),
            "SIGNING_KEYRING_DIR": str(self.folder / "signing"),
            "PROVIDERS_DIR": str(self.folder / "providers"),
            "HOST": "127.0.0.1",
            "PORT": str(port or self.port),
            "INTERNAL_HOST": "127.0.0.1",
            "INTERNAL_PORT": str(internal_port or free_port()),
            "LOG_FORMAT": "json",
            # Every test comes from one address, and what is refused too soon is tests/rate_limits' own subject.
            "SIGN_IN_LIMIT": "1000000/second",
            "REQUEST_LIMIT": "1000000/second",
            **self.extra,
        }
        # Compiled modules are kept: starting many processes from source takes seconds each.
        unwanted = ("KEYBEARER_", "PYTHONDONTWRITEBYTECODE")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        return {**inherited, **{f"KEYBEARER_{name}": value for name, value in values.items()}}

    def start(self, port: int | None = None, *, launcher: list[str] | None = None) -> "Process":
        """One more server process, ready to serve. `launcher` is a command to run instead of `keybearer serve`."""
        internal_port = free_port()
        environment = self.environment(port, internal_port)
        process: Running
        with self.log.open("ab") as log:
            if launcher is None:
                process = warm.start(["serve"], env=environment, stdout=log, stderr=log)
            else:
                process = subprocess.Popen(launcher, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        started = Process(process, port or self.port, internal_port, self.log)
        started.wait_until_ready()
        return started

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `keybearer …` with this installation's settings."""
        done = warm.run(arguments, env=self.environment())
        if check and done.returncode:
            raise AssertionError(f"keybearer {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def close(self) -> None:
        # Those of a failed test too: a connection left to the collector would fail some innocent one.
        for browser in self.browsers:
            browser.close()
        self.stop()

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=25)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def browser(self, port: int | None = None) -> Browser:
        """Cookies are the host's and not the port's, so a browser may talk to each process."""
        browser = Browser(f"http://localhost:{port or self.port}")
        self.browsers.append(browser)
        return browser

    def sign_in(self, browser: Browser, account: str = "alice@example.com", provider: str = "google") -> dict[str, Any]:
        """Through the provider and back; answers GET /api/auth/me."""
        back = self.through(browser, browser.get(f"/api/auth/{provider}/start").headers["location"], account)
        assert back.status_code == 303, back.text
        assert "problem" not in back.headers["location"], back.headers["location"]
        me: dict[str, Any] = browser.get("/api/auth/me").raise_for_status().json()
        return me

    def sign_in_fresh(self, browser: Browser, account: str = "alice@example.com") -> None:
        """Having proved to the provider who one is, which is enough to add a first factor."""
        started = browser.get("/api/auth/google/start", params={"fresh": "true"})
        back = self.through(browser, started.headers["location"], account)
        assert "problem" not in back.headers["location"], back.headers["location"]

    def enrol(self, browser: Browser, account: str = "alice@example.com") -> "App":
        """Signs in and adds an authenticator app as the first factor."""
        self.sign_in_fresh(browser, account)
        return App.enrolled(browser)

    def connect(
        self, browser: Browser, provider: str = "spotify", account: str = "alice@example.com", **body: Any
    ) -> dict[str, Any]:
        """Connects an account and answers it as GET /api/connections lists it."""
        started = browser.post(f"/api/connections/{provider}/start", json=body)
        assert started.status_code == 200, started.text
        back = self.through(browser, started.json()["authorize_url"], account)
        assert "problem" not in back.headers["location"], back.headers["location"]
        found = [each for each in self.connections(browser) if each["provider"] == provider]
        return max(found, key=lambda each: each["created_at"])

    def connections(self, browser: Browser) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = browser.get("/api/connections").raise_for_status().json()["items"]
        return items

    def grant(self, browser: Browser, provider: str = "spotify", **body: Any) -> dict[str, Any]:
        made = browser.post("/api/grants", json={"agent": "demo", "providers": [provider], **body})
        assert made.status_code == 201, made.text
        answer: dict[str, Any] = made.json()
        return answer

    def ledger(self, browser: Browser, **query: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = browser.get("/api/ledger", params=query).raise_for_status().json()["items"]
        return items

    def through(
        self, browser: Browser, authorize_url: str, account: str = "alice@example.com", *, deny: bool = False
    ) -> httpx2.Response:
        """Consents at the provider and opens the callback."""
        callback = urlsplit(self.sandbox.authorize(authorize_url, account, deny=deny))
        return browser.get(f"{callback.path}?{callback.query}")

    def call(
        self, grant: str, path: str, method: str = "GET", port: int | None = None, **options: Any
    ) -> httpx2.Response:
        """A proxied call as an agent makes it; `path` begins with the provider."""
        url = f"http://localhost:{port or self.port}/api/proxy/{path}"
        headers = {"Authorization": f"Bearer {grant}", **options.pop("headers", {})}
        with httpx2.Client(trust_env=False, timeout=60, verify=NO_CERTIFICATES) as client:
            return client.request(method, url, headers=headers, **options)


@dataclass(frozen=True)
class Process:
    popen: Running
    port: int
    internal_port: int
    log: Path

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                raise AssertionError(f"the server ended with {self.popen.returncode}:\n{self.log.read_text()[-3000:]}")
            try:
                if self.internal("/readyz").status_code == 200:
                    return
            except httpx2.TransportError:
                time.sleep(0.02)
        raise AssertionError(f"the server is not ready after {START_SECONDS} s:\n{self.log.read_text()[-3000:]}")

    def internal(self, path: str) -> httpx2.Response:
        url = f"http://127.0.0.1:{self.internal_port}{path}"
        return httpx2.get(url, trust_env=False, timeout=5, verify=NO_CERTIFICATES)

    def terminate(self) -> None:
        self.popen.terminate()
        self.popen.wait(timeout=25)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(timeout=5)


@contextmanager
def installed(
    folder: Path, database_url: str, owner_url: str, sandbox: RunningSandbox, **extra: str
) -> Iterator[Installation]:
    installation = Installation(folder, database_url, owner_url, sandbox, extra=extra)
    try:
        yield installation
    finally:
        installation.close()


def log_lines(log: Path) -> list[dict[str, Any]]:
    """The JSON lines of a server's log; a line that is none fails the test. The last may still be being written."""
    whole, _, _ = log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.strip()]
