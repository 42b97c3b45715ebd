"""The one place that opens connections to PostgreSQL, and says in a sentence why it could not."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from keybearer.kit.errors import ConfigurationError, NotReady
from keybearer.kit.settings import PREFIX

_FOLDER = f"{PREFIX}DATABASE_CREDENTIALS_DIR"
_FILES = "The folder holds the files `username` and `password` of the application's login."
_REACHING = "Check that it runs, and that host and port in the URL lead to it."
_CERTIFICATE = (
    "sslrootcert must be the certificate of the authority that signed the database's, and the host in the URL one of "
    "the names in it."
)
_SILENT = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it starts, or stops
    asyncpg.InsufficientResourcesError,  # all its connections are taken
)


class NoAnswer(NotReady):
    """Nobody is there who could let us in or refuse."""


class FileNotReadable(NotReady, OSError):
    """A file that connecting needs. To whoever starts, a setting to mend; to a running process, a database away."""


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where a database is, and as whom it is entered. `setting` is the one to name when that is wrong."""

    url: str = field(repr=False)
    credentials_dir: Path | None = None
    setting: str = "DATABASE_URL"

    async def connect(
        self,
        login: tuple[str, str] | None = None,
        *,
        seconds: float = 10,
        server_settings: dict[str, str] | None = None,
    ) -> "asyncpg.Connection[Any]":
        """Without a `login` (name, password), with the one that `login` answers now."""
        url = self._driver_url()
        if login is None and self.credentials_dir is not None:
            login = self.login()
        user, password = login or (None, None)
        try:
            return await asyncpg.connect(
                url, user=user, password=password, server_settings=server_settings, timeout=seconds
            )
        except OSError:
            self._check_authority_file()
            raise

    def login(self) -> tuple[str, str]:
        """Name and password, from `credentials_dir` both of one time though they may be exchanged meanwhile."""
        if self.credentials_dir is None:
            parts = urlsplit(self.url)
            return unquote(parts.username or ""), unquote(parts.password or "")
        while True:
            folder = _settled(self.credentials_dir)
            try:
                return self._content(folder, "username"), self._content(folder, "password")
            except FileNotReadable:
                if folder == _settled(self.credentials_dir):
                    raise

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raises ConfigurationError for every reason why `connect` fails: NotReady for what may pass by itself."""
        try:
            yield
        except ConfigurationError:
            raise
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise self._explanation(error) from error
        except ValueError:  # the parser's words may quote the password
            raise ConfigurationError(
                f"{self._name} is not a URL that can be read. Write postgresql://user:password@host:5432/database with "
                "%40 for an @ in the password."
            ) from None

    @property
    def _name(self) -> str:
        return f"{PREFIX}{self.setting}"

    def _driver_url(self) -> str:
        """Accepts the URL forms that SQLAlchemy and libpq users write."""
        scheme, separator, rest = self.url.partition("://")
        if not separator or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
            raise ConfigurationError(f"{self._name} must look like postgresql://user:password@host/database")
        return f"postgresql://{rest}"

    def _content(self, folder: Path, name: str) -> str:
        try:
            text = (folder / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = f"cannot be read ({type(error).__name__})"
            raise FileNotReadable(f"{_FOLDER}: {self.credentials_dir}/{name} {reason}.", _FILES) from error
        if not text:
            raise FileNotReadable(f"{_FOLDER}: {self.credentials_dir}/{name} is empty.", _FILES)
        return text

    def _check_authority_file(self) -> None:
        """The driver names neither the parameter nor the file."""
        for path in parse_qs(self.url.partition("?")[2]).get("sslrootcert", []):
            try:
                Path(path).open("rb").close()
            except OSError as error:
                raise FileNotReadable(
                    f"{self._name}: sslrootcert names {path}, which cannot be read ({type(error).__name__}).",
                    "Put the certificate of the authority there that signed the database's.",
                ) from error

    def _explanation(self, error: Exception) -> ConfigurationError:
        kind = type(error).__name__
        match error:
            case asyncpg.ClientConfigurationError():  # speaks of the URL's parameters, and quotes no login
                return ConfigurationError(f"{self._name}: {error}.")
            case ssl.SSLCertVerificationError():
                reason, advice = f"the database's certificate is not valid ({error.verify_message})", _CERTIFICATE
            case ssl.SSLError():
                reason, advice = f"no TLS with the database ({error.reason})", _CERTIFICATE
            case ConnectionError() if "SSL upgrade" in str(error):
                reason, advice = "the database offers no TLS", "Switch it on there, or correct sslmode in the URL."
            case socket.gaierror():
                return NoAnswer(f"{self._name}: no host of that name is known.", _REACHING)
            case asyncpg.InvalidCatalogNameError():
                reason, advice = "there is no database of that name", "Make it, or correct the end of the URL."
            case asyncpg.InvalidPasswordError() if self.credentials_dir is not None:
                reason = f"the database does not let us in ({kind})"
                advice = f"Compare the files of {_FOLDER} with the login in the database."
            case asyncpg.InvalidPasswordError():
                reason, advice = f"the database does not let us in ({kind})", "Check the login and the password."
            case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InterfaceError():
                reason = f"the database does not let us in ({kind})"
                advice = "Check the login, and that pg_hba.conf lets it in from here with this sslmode."
            case _ if isinstance(error, _SILENT):
                return NoAnswer(f"{self._name}: the database does not answer ({kind}).", _REACHING)
            case _:
                reason, advice = f"the database refuses what we ask ({kind})", "Is it Keybearer's, and the login too?"
        return NotReady(f"{self._name}: {reason}.", advice)


def _settled(folder: Path) -> Path:
    """A mounted Secret is a folder behind a link `..data`, and is exchanged by replacing the link."""
    link = folder / "..data"
    return link.resolve() if link.is_symlink() else folder
