"""Where mail goes, under which protection, and how long it waits."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.kit import logs, settings
from keybearer.kit.errors import ConfigurationError
from keybearer.mail.model import Server, wait_after


@pytest.mark.parametrize(
    ("url", "host", "port", "use_tls", "start_tls"),
    [
        ("smtp://mail.example.com", "mail.example.com", None, False, True),
        ("smtp://mail.example.com:25", "mail.example.com", 25, False, True),
        ("smtp://10.0.0.1", "10.0.0.1", None, False, True),
        ("smtps://mail.example.com", "mail.example.com", None, True, False),
        ("smtps://localhost:465", "localhost", 465, True, False),
        ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, False, False),
        ("smtp://[::1]:1025", "::1", 1025, False, False),
    ],
)
def test_without_tls_on_this_machine_alone(
    url: str, host: str, port: int | None, use_tls: bool, start_tls: bool
) -> None:
    found = Server.of(url)

    assert (found.host, found.port, found.use_tls, found.start_tls) == (host, port, use_tls, start_tls)


def test_a_password_is_read_whole_and_shown_nowhere() -> None:
    url = "smtp://me%40example.com:s3%2Fcret@mail.example.com"
    found = Server.of(url)

    assert (found.username, found.password) == ("me@example.com", "s3/cret")
    assert "s3" not in repr(found)
    assert "s3" not in str(logs.redact(None, "", {"event": "x", "url": url}))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"SMTP_URL": "mail.example.com", "MAIL_FROM": "kb@example.com"}, "SMTP_URL"),
        ({"SMTP_URL": "http://mail.example.com", "MAIL_FROM": "kb@example.com"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://", "MAIL_FROM": "kb@example.com"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://mail.example.com/?starttls=no", "MAIL_FROM": "kb@example.com"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://mail.example.com"}, "MAIL_FROM"),
        ({"MAIL_FROM": "Keybearer <kb@example.com>"}, "MAIL_FROM"),
        ({"MAIL_FROM": "kb@example.com\r\nBcc: x@example.com"}, "MAIL_FROM"),
    ],
)
def test_settings_that_send_nothing_stop_the_start(given: dict[str, str], name: str) -> None:
    required = {"PUBLIC_URL": "http://localhost", "DATABASE_URL": "x", "KEYRING_DIR": "k", "SIGNING_KEYRING_DIR": "s"}
    with pytest.raises(ConfigurationError, match=f"KEYBEARER_{name}"):
        settings.read({f"KEYBEARER_{key}": value for key, value in (required | given).items()})


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_waits_grow_to_an_hour(attempts: int, chance: float) -> None:
    wait = wait_after(attempts, chance)

    assert timedelta(seconds=15) <= wait <= timedelta(hours=1) * 1.25
    assert wait <= wait_after(attempts + 1, 1.0)
