"""Listens for SMTP on the server's own event loop and puts what comes into the mailbox."""

import asyncio
from collections.abc import Callable

from aiosmtpd.smtp import SMTP, Envelope, Session

from keybearer_sandbox.inbox.mailbox import Mailbox

MAX_MAIL_BYTES = 5 * 1024 * 1024


class Delivery:
    """What aiosmtpd calls for each mail."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 aiosmtpd's name
        content = envelope.content or b""
        raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        self._mailbox.deliver(envelope.mail_from or "", tuple(envelope.rcpt_tos), raw)
        return "250 Kept in the sandbox's inbox"


async def listen(mailbox: Mailbox, host: str, port: int) -> asyncio.Server:
    """A listening server; port 0 takes any free one."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(_protocol(mailbox, loop), host, port)


def _protocol(mailbox: Mailbox, loop: asyncio.AbstractEventLoop) -> Callable[[], SMTP]:
    def make() -> SMTP:
        return SMTP(
            Delivery(mailbox),
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname="sandbox.invalid",
            ident="Keybearer sandbox",
            loop=loop,
        )

    return make
