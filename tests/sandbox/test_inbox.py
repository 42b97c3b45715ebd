"""Mail over real SMTP, and what is read out of it."""

import smtplib
from email.message import EmailMessage

import pytest


def send(sandbox, message: EmailMessage, to: list[str] | None = None) -> None:
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port) as server:
        server.send_message(message, "keybearer@example.com", to or ["dora@example.com"])


def mail(subject: str, text: str | None = None, html: str | None = None) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "keybearer@example.com"
    message["To"] = "dora@example.com"
    if text is not None:
        message.set_content(text)
    if html is not None:
        (message.add_alternative if text is not None else message.set_content)(html, subtype="html")
    return message


@pytest.mark.parametrize(
    ("text", "html", "links", "code"),
    [
        ("Your code is 123456.", None, [], "123456"),
        (
            "Code: 012345\nOr https://localhost/verify?token=999999abc.",
            None,
            ["https://localhost/verify?token=999999abc"],
            "012345",
        ),
        ("Only https://localhost/v/123456 here", None, ["https://localhost/v/123456"], None),
        ("Call +441234567890 or 12345", None, [], None),
        ("Héllo, 654321 ☂", None, [], "654321"),
        (
            None,
            '<p>Code <b>111222</b></p><a href="http://localhost/x?a=1&amp;b=2">go</a>',
            ["http://localhost/x?a=1&b=2"],
            "111222",
        ),
        ("plain 222333", "<p>html 999888 <a href='http://localhost/y'>y</a></p>", ["http://localhost/y"], "222333"),
        ("twice http://localhost/a http://localhost/a", None, ["http://localhost/a"], None),
    ],
)
def test_links_and_codes_are_found(sandbox, text, html, links, code) -> None:
    send(sandbox, mail("Hello ☂", text, html))
    (item,) = sandbox.mail("dora@example.com")
    assert (item["subject"], item["links"], item["code"]) == ("Hello ☂", links, code)
    assert (text or "111222").split()[0] in item["text"]
    assert "<" not in item["text"]


def test_mails_are_newest_first_and_by_address(sandbox) -> None:
    for number in range(3):
        send(sandbox, mail(f"No. {number}", "x"))
    send(sandbox, mail("For two", "x"), ["alice@example.com", "DORA@example.com"])
    assert [m["subject"] for m in sandbox.mail("dora@example.com")] == ["For two", "No. 2", "No. 1", "No. 0"]
    assert [m["subject"] for m in sandbox.mail("Alice@Example.com")] == ["For two"]
    assert sandbox.mail("bob@example.com") == []
    assert len(sandbox.request("GET", "/mail").json()["items"]) == 4
    sandbox.reset()
    assert sandbox.mail("dora@example.com") == []


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\xff\xfe\x00 not a mail at all",
        b"Subject: =?utf-8?q?=ff?=\r\n\r\nbody",
        b"Subject: odd\r\nContent-Type: text/plain; charset=no-such-charset\r\n\r\nbody",
        b"Subject: odd\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Subject: folded\r\n\tand nasty \xe9\r\n\r\nbody",
        b"",
    ],
)
def test_broken_mails_are_kept_without_harm(sandbox, raw) -> None:
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port) as server:
        server.sendmail("a@example.com", ["dora@example.com"], raw)
    assert len(sandbox.mail("dora@example.com")) == 1
    assert sandbox.request("GET", "/health").status == 200
