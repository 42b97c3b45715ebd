"""Turns settings into the parts of the product, wired together. Nothing else in the code base makes them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from keybearer.backups.settled import check_settled
from keybearer.bootstrap import people as people_parts
from keybearer.bootstrap import single_admin
from keybearer.bootstrap.background import Background
from keybearer.bootstrap.guard import check_database
from keybearer.bootstrap.people import People
from keybearer.events.service import Events
from keybearer.grants.background import LastUse
from keybearer.grants.service import Grants
from keybearer.identity.invitations.service import Invitations
from keybearer.identity.passwords.hashing import Hashing
from keybearer.identity.service import Identities
from keybearer.keys import background as keys_background
from keybearer.keys import keyring, signing
from keybearer.keys.erasures import ErasureLog
from keybearer.keys.service import Keys
from keybearer.keys.signing import SigningKeyring
from keybearer.kit import leases
from keybearer.kit.breaker import Breakers
from keybearer.kit.database import Database
from keybearer.kit.listener import Listener
from keybearer.kit.login import Login
from keybearer.kit.outbound import Outbound
from keybearer.kit.reloading import Reloader, Source
from keybearer.kit.settings import HS256, Settings
from keybearer.ledger.calls import CallWriter
from keybearer.ledger.reading import Reading
from keybearer.ledger.service import Ledger
from keybearer.letters.errands import Errands
from keybearer.letters.links import Links
from keybearer.letters.notices import Notices
from keybearer.limits.service import RequestLimits, SignInLimits
from keybearer.limits.windows import Windows
from keybearer.mail.model import Server
from keybearer.mail.service import Mail
from keybearer.mail.smtp import Post
from keybearer.providers import catalogue
from keybearer.providers.catalogue import Catalogue
from keybearer.providers.service import Providers
from keybearer.proxy.service import Proxy
from keybearer.rooms.service import LiveKit, Rooms
from keybearer.sessions.api_keys.service import ApiKeys
from keybearer.sessions.background import SeenFlusher
from keybearer.sessions.cache import BearerCache
from keybearer.sessions.cookies import SessionCookie
from keybearer.sessions.devices import Devices
from keybearer.sessions.programs.access import AccessTokens, load_shared_key
from keybearer.sessions.programs.model import Lifetimes
from keybearer.sessions.programs.service import ProgramTokens
from keybearer.sessions.resolver import BearerResolver
from keybearer.sessions.seen import LastSeen
from keybearer.sessions.service import Sessions
from keybearer.signin.flows import Flows
from keybearer.signin.service import SignIn
from keybearer.tenancy.service import Tenancy
from keybearer.vault.service import Vault

_PATIENCE_SECONDS = 4.0  # of a server that ends, for a database that does not answer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Every part that something outside asks for by name."""

    db: Database
    listener: Listener
    login: Login
    reloader: Reloader
    keys: Keys
    signing: SigningKeyring
    tenancy: Tenancy
    catalogue: Catalogue
    providers: Providers
    ledger: Ledger
    ledger_reading: Reading
    calls: CallWriter
    events: Events
    identities: Identities
    invitations: Invitations
    hashing: Hashing
    resolver: BearerResolver
    last_seen: LastSeen
    seen_flusher: SeenFlusher
    sessions: Sessions
    access_tokens: AccessTokens
    program_tokens: ProgramTokens
    api_keys: ApiKeys
    people: People
    vault: Vault
    grants: Grants
    grant_use: LastUse
    proxy: Proxy
    sign_in: SignIn
    sign_in_limits: SignInLimits
    request_limits: RequestLimits
    windows: Windows
    mail: Mail
    errands: Errands
    links: Links
    notices: Notices
    post: Post | None
    rooms: Rooms
    outbound: Outbound
    owner: str


def build(settings: Settings) -> Services:
    """Reads keyrings and catalogue, looks for the erasure log, opens nothing else. Raises ConfigurationError (D7)."""
    keys = Keys(keyring.load(settings.keyring_dir), read=lambda: keyring.load(settings.keyring_dir))
    signing_keys = signing.load(settings.signing_keyring_dir)
    providers_data = catalogue.load(settings.providers_dir)
    owner = leases.process_name()
    credentials = settings.database_credentials_dir
    db = Database(settings.database_url, credentials_dir=credentials, pool_size=settings.database_pool_size)
    listener = Listener(Database(settings.listen_database_url, credentials_dir=credentials).connect, db.announce)
    login = Login(db, listener)
    outbound = Outbound({address for provider in providers_data.values() for address in provider.allow_addresses})
    providers = Providers(providers_data, outbound)
    breakers = Breakers()
    ledger, events, calls = Ledger(db, keys), Events(db), CallWriter(db, keys)
    cache = BearerCache(fresh=lambda: listener.fresh, clock=time.monotonic, wall=time.time)
    resolver, last_seen = BearerResolver(db, cache), LastSeen()
    tenancy = Tenancy(db, settings)
    windows = Windows(settings.valkey_url)
    sign_in_limits = SignInLimits(windows, settings.sign_in_limit)
    invitations, hashing = Invitations(), Hashing()
    identities = Identities(keys, ledger, invitations, settings.registration)
    lifetimes = _lifetimes(settings)
    access_tokens = _access_tokens(settings, signing_keys, lifetimes)
    mail = Mail(keys, enabled=settings.smtp_url is not None)
    errands, links = Errands(keys, enabled=mail.enabled), Links(hashing)
    notices = Notices(identities, mail, tenancy, links)
    cookie = SessionCookie(settings.secure)
    sessions = Sessions(db, ledger, events, resolver, last_seen, cookie, Devices(notices), access_tokens)
    program_tokens = ProgramTokens(db, access_tokens, sessions, identities, ledger, lifetimes)
    api_keys = ApiKeys(db, ledger)
    rooms = Rooms(_livekit(settings))
    people = people_parts.build(
        settings,
        db=db,
        keys=keys,
        ledger=ledger,
        identities=identities,
        invitations=invitations,
        hashing=hashing,
        sessions=sessions,
        programs=program_tokens,
        rooms=rooms,
        limits=sign_in_limits,
        mail=mail,
        errands=errands,
        links=links,
        notices=notices,
    )
    vault = Vault(db, keys, providers, ledger, events, breakers=breakers, owner=owner)
    grants = Grants(db, vault, ledger, events)
    grant_use = LastUse(db)
    proxy = Proxy(db, providers_data, resolver, vault, calls, ledger, grant_use, breakers, outbound.client())
    erasers = (
        grants.erase,
        vault.erase,
        api_keys.erase,
        mail.erase,
        people.factors.erase,
        people.lockouts.erase,
        sessions.erase,
        events.erase,
        identities.erase,
    )
    erasures = _erasure_log(settings)
    flows = Flows(db, keys, providers)
    sign_in = SignIn(
        db,
        flows,
        providers,
        identities,
        people.entrance,
        vault,
        ledger,
        people.step_up,
        sign_in_limits,
        erasers,
        erasures,
    )
    for subscriber in (cache, keys, tenancy, events):
        listener.subscribe(subscriber)
    for learned in (cache, keys, tenancy):
        db.on_notify(learned.notified)
    return Services(
        db=db,
        listener=listener,
        login=login,
        reloader=_reloader(settings, db, login, keys, signing_keys),
        keys=keys,
        signing=signing_keys,
        tenancy=tenancy,
        catalogue=providers_data,
        providers=providers,
        ledger=ledger,
        ledger_reading=Reading(db, keys, identities.names_of),
        calls=calls,
        events=events,
        identities=identities,
        invitations=invitations,
        hashing=hashing,
        resolver=resolver,
        last_seen=last_seen,
        seen_flusher=SeenFlusher(db, last_seen),
        sessions=sessions,
        access_tokens=access_tokens,
        program_tokens=program_tokens,
        api_keys=api_keys,
        people=people,
        vault=vault,
        grants=grants,
        grant_use=grant_use,
        proxy=proxy,
        sign_in=sign_in,
        sign_in_limits=sign_in_limits,
        request_limits=RequestLimits(windows, settings.request_limit),
        windows=windows,
        mail=mail,
        errands=errands,
        links=links,
        notices=notices,
        post=_post(settings),
        rooms=rooms,
        outbound=outbound,
        owner=owner,
    )


def _reloader(settings: Settings, db: Database, login: Login, keys: Keys, signing_keys: SigningKeyring) -> Reloader:
    """Keys before the login: what is encrypted under a new key has to be readable first."""

    async def take_keyring() -> bool:
        return await keys.take(db, keyring.load(settings.keyring_dir))

    async def take_signing_keys() -> bool:
        return signing_keys.take(signing.load(settings.signing_keyring_dir))

    sources = [
        Source("keyring", settings.keyring_dir, take_keyring),
        Source("signing", settings.signing_keyring_dir, take_signing_keys),
    ]
    if settings.database_credentials_dir is not None:
        sources.append(Source("login", settings.database_credentials_dir, login.take))
    return Reloader(sources)


def _lifetimes(settings: Settings) -> Lifetimes:
    return Lifetimes(
        access=timedelta(minutes=settings.access_token_minutes),
        idle=timedelta(days=settings.refresh_token_idle_days),
        absolute=timedelta(days=settings.refresh_token_days),
    )


def _access_tokens(settings: Settings, signing_keys: SigningKeyring, lifetimes: Lifetimes) -> AccessTokens:
    """Raises ConfigurationError for a shared key that is missing or short."""
    path = settings.access_token_key_file if settings.access_token_algorithm == HS256 else None
    return AccessTokens(
        signing_keys, lifetime=lifetimes.access, shared_key=load_shared_key(path) if path is not None else None
    )


def _erasure_log(settings: Settings) -> ErasureLog | None:
    """Raises ConfigurationError where it could not be written to."""
    if settings.erasure_log_dir is None:
        return None
    log_of_erasures = ErasureLog(settings.erasure_log_dir)
    log_of_erasures.check()
    return log_of_erasures


def _post(settings: Settings) -> Post | None:
    url, sender = settings.smtp_url, settings.mail_from
    return Post(Server.of(url), sender=sender, name=settings.mail_name) if url and sender else None


def _livekit(settings: Settings) -> LiveKit | None:
    url, key, secret = settings.livekit_url, settings.livekit_api_key, settings.livekit_api_secret
    return LiveKit(url, key, secret) if url and key and secret else None


@asynccontextmanager
async def open_services(settings: Settings, *, background: bool = True) -> AsyncIterator[Services]:
    """Checked and started. `background` False is for commands: no listener, no work by itself."""
    services = build(settings)
    work = Background(services)
    try:
        schema = await check_database(services.db)
        if schema.newer:
            log.warning("database.schema_newer", schema=schema.revision, needed=schema.needed)
        await check_settled(services.db)
        await services.keys.start(services.db)
        await keys_background.prove(services.db, services.keys)
        await services.tenancy.start()
        await services.calls.start()
        if background:
            await single_admin.configure(settings, services.people, services.tenancy.default)
            work.start()
        yield services
    finally:
        # A query that nobody answers cannot be cancelled either: the driver waits for the word that it was.
        hanging = asyncio.create_task(_hang_up(services.db))
        if background:
            await work.stop()
        services.hashing.close()
        await services.calls.stop()
        await services.outbound.aclose()
        await services.windows.aclose()
        await services.db.close()
        hanging.cancel()


async def _hang_up(db: Database) -> None:
    while True:
        await asyncio.sleep(_PATIENCE_SECONDS)
        db.hang_up()
