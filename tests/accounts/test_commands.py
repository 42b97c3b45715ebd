"""What an operator does on the command line; passwords and tokens come by standard input alone."""

import subprocess
import sys

import pytest
from installation import Browser
from signin.site import Site

PASSWORD, OTHER = "violet kettle under nine bridges", "seven slow herons over slate"
EMAIL = "erin@example.com"


def keybearer(site: Site, *words: str, given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "keybearer", *words],
        env=site.environment(),
        input=f"{given}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def login(browser: Browser, password: str) -> int:
    status: int = browser.post("/api/auth/login", json={"email": EMAIL, "password": password}).status_code
    return status


def test_an_account_is_made_its_password_replaced_and_its_tokens_explained(site: Site, browser: Browser) -> None:
    made = keybearer(site, "admin", "create", EMAIL, "--name", "Erin", given=PASSWORD)
    assert made.stdout == f"{EMAIL} can sign in, with the role admin.\n", made.stderr
    again = keybearer(site, "admin", "create", EMAIL, given=PASSWORD)
    assert again.returncode != 0
    signed_in = browser.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD}).json()
    assert signed_in["user"]["roles"] == ["admin"]

    kinds = {"access_token": "access token", "refresh_token": "refresh token", "session_token": "session token"}
    for name, kind in kinds.items():
        told = keybearer(site, "token", "inspect", given=signed_in[name])
        facts = dict(line.split(maxsplit=1) for line in told.stdout.splitlines() if not line.startswith("signed in"))
        assert facts["kind"] == kind, told.stderr
        assert not facts["opens"].startswith("nothing")
        assert signed_in[name] not in told.stdout + told.stderr

    weak = keybearer(site, "admin", "reset-password", EMAIL, given="password")
    assert weak.returncode != 0
    reset = keybearer(site, "admin", "reset-password", EMAIL, given=OTHER)
    assert reset.stdout == f"The password of {EMAIL} is set. Sessions ended: 1.\n", reset.stderr
    assert [login(browser, password) for password in (PASSWORD, OTHER)] == [401, 200]
    dead = keybearer(site, "token", "inspect", given=signed_in["session_token"])
    assert "nothing: it is unknown" in dead.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("hello", "no token of Keybearer's"),
        ("kbs_00000000000000000000000000000000000000000000000000", "wrong: it is cut off or mistyped"),
        ("a.b.c", "cannot be read"),
    ],
)
def test_what_is_no_token_is_said(site: Site, given: str, said: str) -> None:
    assert said in keybearer(site, "token", "inspect", given=given).stdout
