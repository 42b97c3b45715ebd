"""Keeps the mails that arrived, and picks out of each what a test or a person needs: links and the code."""

import email
import email.policy
import html
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage

MAX_MAILS = 500
_LINK = re.compile(r"https?://[^\s<>\"')\]]+")
_CODE = re.compile(r"(?<![\w/=.-])\d{6}(?![\w-])")
_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Mail:
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    links: tuple[str, ...]
    code: str | None
    received_at: str

    def as_json(self) -> dict[str, object]:
        return {
            "from": self.sender,
            "to": list(self.recipients),
            "subject": self.subject,
            "text": self.text,
            "links": list(self.links),
            "code": self.code,
            "received_at": self.received_at,
        }


class Mailbox:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mails: deque[Mail] = deque(maxlen=MAX_MAILS)

    def deliver(self, sender: str, recipients: tuple[str, ...], raw: bytes) -> None:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        plain, markup = _body(message, "plain"), _body(message, "html")
        text = plain or html.unescape(_TAG.sub(" ", markup))
        links = dict.fromkeys(link.rstrip(".,;:!?") for link in _LINK.findall(text + " " + html.unescape(markup)))
        code = _CODE.search(_LINK.sub(" ", text))
        received_at = datetime.fromtimestamp(self._clock(), UTC).isoformat()
        subject = str(message.get("subject", ""))
        self._mails.appendleft(
            Mail(sender, recipients, subject, text, tuple(links), code and code.group(), received_at)
        )

    def to(self, address: str | None) -> list[Mail]:
        """Mails to an address, or all, newest first."""
        if address is None:
            return list(self._mails)
        wanted = address.strip().lower()
        return [m for m in self._mails if wanted in (r.lower() for r in m.recipients)]

    def clear(self) -> None:
        self._mails.clear()


def _body(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    if part is None:
        return ""
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    try:
        return raw.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:  # a charset that Python does not know
        return raw.decode("utf-8", "replace")
