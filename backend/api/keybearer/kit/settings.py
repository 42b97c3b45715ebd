"""What an operator sets: environment variables with the prefix `KEYBEARER_`, read once at start."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from keybearer.kit.errors import ConfigurationError

PREFIX = "KEYBEARER_"
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 -- a container's ports; `keybearer up` binds loopback
EDDSA, HS256 = "eddsa", "hs256"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_LIMIT = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour)")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Fields are in the order of docs/settings.md; every name there is a field's name in capitals."""

    public_url: str
    database_url: str = field(repr=False)
    listen_database_url: str = field(repr=False)
    database_credentials_dir: Path | None = None
    migration_database_url: str | None = field(repr=False, default=None)
    keyring_dir: Path
    signing_keyring_dir: Path
    erasure_log_dir: Path | None = None
    providers_dir: Path | None = None
    database_pool_size: int = 8
    internal_hosts: frozenset[str] = frozenset()
    cors_origins: tuple[str, ...] = ()
    host: str = EVERY_ADDRESS
    port: int = 8080
    internal_host: str = EVERY_ADDRESS
    internal_port: int = 9090
    trusted_proxies: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "auto"
    log_sql: bool = False
    public_docs: bool = False
    valkey_url: str | None = field(repr=False, default=None)
    sign_in_limit: str = "5/minute"
    request_limit: str = "10/second"
    smtp_url: str | None = field(repr=False, default=None)
    mail_from: str | None = None
    mail_name: str = "Keybearer"
    admin_email: str | None = None
    admin_password_file: Path | None = None
    admin_password_hash: str | None = field(repr=False, default=None)
    registration: str = "open"
    registration_reveals: bool = False
    password_minimum: int = 15
    password_minimum_with_factor: int = 8
    password_classes: int = 0
    password_history: int = 0
    password_days: int = 0
    access_token_minutes: int = 30
    access_token_algorithm: str = EDDSA
    access_token_key_file: Path | None = None
    refresh_token_idle_days: int = 7
    refresh_token_days: int = 30
    livekit_url: str | None = None
    livekit_api_key: str | None = None
    livekit_api_secret: str | None = field(repr=False, default=None)
    ui_dir: Path | None = None

    @property
    def secure(self) -> bool:
        """Whether people reach us over https; cookies and HSTS follow it."""
        return self.public_url.startswith("https://")

    @property
    def public_host(self) -> str:
        return host_name(urlsplit(self.public_url).netloc)


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises ConfigurationError naming the first setting that is missing or unsafe."""
    source = _Source(environment)
    database_url = source.required("DATABASE_URL")
    _check_admin(source)
    return Settings(
        public_url=_public_url(source.required("PUBLIC_URL")),
        database_url=database_url,
        listen_database_url=source.text("LISTEN_DATABASE_URL") or database_url,
        database_credentials_dir=source.path("DATABASE_CREDENTIALS_DIR"),
        migration_database_url=source.text("MIGRATION_DATABASE_URL"),
        keyring_dir=Path(source.required("KEYRING_DIR")),
        signing_keyring_dir=Path(source.required("SIGNING_KEYRING_DIR")),
        erasure_log_dir=source.path("ERASURE_LOG_DIR"),
        providers_dir=source.path("PROVIDERS_DIR"),
        database_pool_size=source.number("DATABASE_POOL_SIZE", 8, 1, 100),
        internal_hosts=frozenset(host_name(host) for host in source.words("INTERNAL_HOSTS")),
        cors_origins=tuple(_cors_origin(origin) for origin in source.words("CORS_ORIGINS")),
        host=source.text("HOST") or EVERY_ADDRESS,
        port=source.number("PORT", 8080, 0, 65535),
        internal_host=source.text("INTERNAL_HOST") or EVERY_ADDRESS,
        internal_port=source.number("INTERNAL_PORT", 9090, 0, 65535),
        trusted_proxies=tuple(_network(network) for network in source.words("TRUSTED_PROXIES")),
        log_level=source.choice("LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        log_format=source.choice("LOG_FORMAT", "auto", ("auto", "json", "console")),
        log_sql=source.flag("LOG_SQL"),
        public_docs=source.flag("PUBLIC_DOCS"),
        valkey_url=_valkey_url(source.text("VALKEY_URL")),
        sign_in_limit=_limit(source, "SIGN_IN_LIMIT", "5/minute"),
        request_limit=_limit(source, "REQUEST_LIMIT", "10/second"),
        smtp_url=_smtp_url(source),
        mail_from=_mail_from(source.text("MAIL_FROM")),
        mail_name=source.text("MAIL_NAME") or "Keybearer",
        admin_email=source.text("ADMIN_EMAIL"),
        admin_password_file=source.path("ADMIN_PASSWORD_FILE"),
        admin_password_hash=source.text("ADMIN_PASSWORD_HASH"),
        registration=source.choice(
            "REGISTRATION", "closed" if source.text("ADMIN_EMAIL") else "open", ("open", "invite", "closed")
        ),
        registration_reveals=source.flag("REGISTRATION_REVEALS"),
        password_minimum=source.number("PASSWORD_MINIMUM", 15, 8, 128),
        password_minimum_with_factor=source.number("PASSWORD_MINIMUM_WITH_FACTOR", 8, 8, 128),
        password_classes=source.number("PASSWORD_CLASSES", 0, 0, 4),
        password_history=source.number("PASSWORD_HISTORY", 0, 0, 24),
        password_days=source.number("PASSWORD_DAYS", 0, 0, 3650),
        access_token_minutes=source.number("ACCESS_TOKEN_MINUTES", 30, 1, 1440),
        access_token_algorithm=source.choice("ACCESS_TOKEN_ALGORITHM", EDDSA, (EDDSA, HS256)),
        access_token_key_file=_access_token_key_file(source),
        refresh_token_idle_days=source.number("REFRESH_TOKEN_IDLE_DAYS", 7, 1, 7),
        refresh_token_days=source.number("REFRESH_TOKEN_DAYS", 30, 1, 30),
        livekit_url=_livekit_url(source),
        livekit_api_key=source.text("LIVEKIT_API_KEY"),
        livekit_api_secret=source.text("LIVEKIT_API_SECRET"),
        ui_dir=source.path("UI_DIR"),
    )


def _livekit_url(source: "_Source") -> str | None:
    """Without one, there are no rooms, and the key may be there all the same."""
    url = source.text("LIVEKIT_URL")
    if url is None:
        return None
    if urlsplit(url).scheme not in {"ws", "wss"} or not urlsplit(url).hostname:
        raise ConfigurationError("KEYBEARER_LIVEKIT_URL must look like wss://livekit.example.com")
    for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        source.required(name)
    return url


def _valkey_url(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"valkey", "valkeys", "redis", "rediss"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(f"{PREFIX}VALKEY_URL must look like valkey://:password@valkey.internal:6379")
    return value


def _smtp_url(source: "_Source") -> str | None:
    """Without one, no mail is sent, and the sender may be there all the same."""
    value = source.text("SMTP_URL")
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"smtp", "smtps"} and parts.hostname and parts.port != 0
        usable = usable and not (parts.path.strip("/") or parts.query or parts.fragment)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(f"{PREFIX}SMTP_URL must look like smtps://user:password@mail.example.com")
    source.required("MAIL_FROM")
    return value


def _mail_from(value: str | None) -> str | None:
    if value is not None and not _ADDRESS.fullmatch(value):
        raise ConfigurationError(f"{PREFIX}MAIL_FROM must be one address, such as keybearer@example.com.")
    return value


def _limit(source: "_Source", name: str, default: str) -> str:
    value = source.text(name) or default
    if not _LIMIT.fullmatch(value):
        raise ConfigurationError(f"{PREFIX}{name} must look like {default}: a number per second, minute or hour.")
    return value


def _check_admin(source: "_Source") -> None:
    email, passwords = source.text("ADMIN_EMAIL"), ("ADMIN_PASSWORD_FILE", "ADMIN_PASSWORD_HASH")
    given = sum(source.text(name) is not None for name in passwords)
    if email is None and given:
        source.required("ADMIN_EMAIL")
    if email is not None and given != 1:
        raise ConfigurationError(
            "KEYBEARER_ADMIN_EMAIL goes with one of KEYBEARER_ADMIN_PASSWORD_FILE and KEYBEARER_ADMIN_PASSWORD_HASH."
        )


def _access_token_key_file(source: "_Source") -> Path | None:
    if source.choice("ACCESS_TOKEN_ALGORITHM", EDDSA, (EDDSA, HS256)) == HS256:
        source.required("ACCESS_TOKEN_KEY_FILE")
    return source.path("ACCESS_TOKEN_KEY_FILE")


def migration_database_url(environment: Mapping[str, str] = os.environ) -> str:
    """The migrating login's URL; the one setting that `keybearer migrate` needs."""
    return _Source(environment).required("MIGRATION_DATABASE_URL")


def application_database(environment: Mapping[str, str] = os.environ) -> tuple[str, Path | None]:
    """The application's URL and credentials folder; all that looking at the database needs."""
    source = _Source(environment)
    return source.required("DATABASE_URL"), source.path("DATABASE_CREDENTIALS_DIR")


def keyring_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """For commands that need this and no more."""
    return Path(_Source(environment).required("KEYRING_DIR"))


def new_credentials_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where a rotation has put the idle login's name and next password."""
    return Path(_Source(environment).required("NEW_CREDENTIALS_DIR"))


def host_name(netloc: str) -> str:
    """The name of a Host header or netloc in lower case, without the port."""
    if netloc.startswith("["):
        return netloc[1:].partition("]")[0].lower()
    return netloc.rpartition(":")[0].lower() if ":" in netloc else netloc.lower()


def is_loopback(host: str) -> bool:
    return host in LOOPBACK_NAMES


@dataclass(frozen=True, slots=True)
class _Source:
    environment: Mapping[str, str]

    def text(self, name: str) -> str | None:
        return self.environment.get(PREFIX + name, "").strip() or None

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise ConfigurationError(f"{PREFIX}{name} is not set. docs/settings.md says what it is for.")
        return value

    def path(self, name: str) -> Path | None:
        value = self.text(name)
        return Path(value) if value else None

    def words(self, name: str) -> list[str]:
        return (self.text(name) or "").replace(",", " ").split()

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        if not value.isdecimal() or not low <= int(value) <= high:
            raise ConfigurationError(f"{PREFIX}{name} must be a whole number from {low} to {high}.")
        return int(value)

    def flag(self, name: str) -> bool:
        return self.choice(name, "false", ("true", "false", "1", "0")) in {"true", "1"}

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = (self.text(name) or default).lower()
        if value not in allowed:
            raise ConfigurationError(f"{PREFIX}{name} must be one of {', '.join(allowed)}.")
        return value


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    origin = _origin(value)
    if origin is None or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(f"{PREFIX}PUBLIC_URL must look like https://keybearer.example.com, without a path.")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"{PREFIX}PUBLIC_URL is plain http on a host that is not this machine: sign-in cookies would travel in "
            "the clear. Use https."
        )
    return origin


def _origin(url: str) -> str | None:
    """As browsers write it in `Origin`: lower case, without the scheme's own port. None for what is no web address."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    standard = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if standard else f":{port}")


def _cors_origin(value: str) -> str:
    parts = urlsplit(value)
    if _origin(value) != value or "*" in value or not (parts.scheme == "https" or is_loopback(parts.hostname or "")):
        raise ConfigurationError(
            f"{PREFIX}CORS_ORIGINS takes exact https origins such as https://app.example.com, or http ones of this "
            "machine; `*` and `null` are refused, because answers carry credentials."
        )
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ConfigurationError(f"{PREFIX}TRUSTED_PROXIES takes addresses and networks such as 10.0.0.0/8.") from None
