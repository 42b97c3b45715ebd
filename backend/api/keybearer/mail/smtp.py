"""Hands mails to a server (RFC 5321), several over one connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from keybearer.mail.model import Letter, Server

_SECONDS = 10.0


class Refused(Exception):
    """The server will never take this mail; another one it may. `code` is its answer's number."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the server answered {code}")
        self.code = code


class Deferred(Exception):
    """The server does not take it now. `reason` is the kind of its answer, never the text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Post:
    def __init__(self, server: Server, *, sender: str, name: str) -> None:
        self._server = server
        self._sender = sender
        self._name = name

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Connection"]:
        """Raises Deferred where there is no way in: no server, no TLS, another password."""
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.use_tls,
            start_tls=server.start_tls,
            timeout=_SECONDS,
            local_hostname=self._domain,
        )
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            client.close()
            raise Deferred(type(error).__name__) from error
        try:
            yield Connection(client, self)
        finally:
            client.close()

    @property
    def _domain(self) -> str:
        return self._sender.rpartition("@")[2]

    def written(self, letter: Letter) -> EmailMessage:
        """The id is the row's, so that one that is sent twice after a crash shows once."""
        message = EmailMessage()
        message["From"] = Address(self._name, addr_spec=self._sender)
        message["To"] = letter.to
        message["Subject"] = " ".join(letter.subject.split())
        message["Date"] = format_datetime(letter.created_at)
        message["Message-ID"] = f"<{letter.id}@{self._domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        return message


class Connection:
    """An open connection, at which mails are handed in."""

    def __init__(self, client: aiosmtplib.SMTP, post: Post) -> None:
        self._client = client
        self._post = post

    async def hand_in(self, letter: Letter) -> None:
        """Returns once the server has taken it. Raises Refused and Deferred."""
        try:
            await self._client.send_message(self._post.written(letter), recipients=[letter.to])
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _meaning(error.recipients[0]) from error
        except aiosmtplib.SMTPDataError as error:
            raise _meaning(error) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Deferred(type(error).__name__) from error
        except (ValueError, IndexError) as error:  # an address that cannot be written into a header
            raise Refused(553) from error


def _meaning(error: aiosmtplib.SMTPResponseException) -> Exception:
    """RFC 5321 section 4.2.1: 5xx is for good, 4xx for now."""
    return Refused(error.code) if error.code >= 500 else Deferred(f"answer {error.code}")
