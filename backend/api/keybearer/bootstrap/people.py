"""The parts by which people show who they are, built one on the other."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keybearer.factors.enrolling import Enrolling
from keybearer.factors.passkeys import Passkeys
from keybearer.factors.recovery import Recovery
from keybearer.factors.service import Factors
from keybearer.factors.step_up import StepUp
from keybearer.factors.totp import Totp
from keybearer.identity.invitations.service import Invitations
from keybearer.identity.passwords.hashing import Hashing
from keybearer.identity.passwords.policy import Policy
from keybearer.identity.passwords.service import Passwords
from keybearer.identity.service import Identities
from keybearer.keys.service import Keys
from keybearer.kit.database import Database
from keybearer.kit.settings import Settings
from keybearer.ledger.service import Ledger
from keybearer.letters.errands import Errands
from keybearer.letters.links import Links
from keybearer.letters.notices import Notices
from keybearer.limits.service import SignInLimits
from keybearer.lockouts.service import Lockouts
from keybearer.mail.service import Mail
from keybearer.rooms.service import Rooms
from keybearer.sessions.programs.service import ProgramTokens
from keybearer.sessions.service import Sessions
from keybearer.signin.accounts.factors import SecondFactors
from keybearer.signin.accounts.guessing import GuardedPasswords
from keybearer.signin.accounts.operating import Operating
from keybearer.signin.accounts.passkeys import PasskeySignIn
from keybearer.signin.accounts.service import Accounts, Rules
from keybearer.signin.entrance import Entrance
from keybearer.signin.mailed.answering import Answering, LockErrands
from keybearer.signin.mailed.confirming import Confirming
from keybearer.signin.mailed.not_me import NotMe
from keybearer.signin.mailed.resetting import Resetting
from keybearer.signin.reauthentication.service import Reauthentication


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    accounts: Accounts
    operating: Operating
    passkey_sign_in: PasskeySignIn
    confirming: Confirming
    resetting: Resetting
    not_me: NotMe
    answering: Answering
    entrance: Entrance
    factors: Factors
    enrolling: Enrolling
    step_up: StepUp
    reauthentication: Reauthentication
    lockouts: Lockouts


def build(
    settings: Settings,
    *,
    db: Database,
    keys: Keys,
    ledger: Ledger,
    identities: Identities,
    invitations: Invitations,
    hashing: Hashing,
    sessions: Sessions,
    programs: ProgramTokens,
    rooms: Rooms,
    limits: SignInLimits,
    mail: Mail,
    errands: Errands,
    links: Links,
    notices: Notices,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> People:
    passwords, lockouts = Passwords(hashing, _policy(settings)), Lockouts(db, ledger, LockErrands(errands))
    recovery = Recovery(db, keys, hashing, ledger, notices)
    totp = Totp(db, keys, identities, recovery, ledger, notices)
    passkeys = Passkeys(db, identities, recovery, ledger, notices)
    factors = Factors(db, totp, recovery, lockouts, ledger, notices)
    guarded, second = GuardedPasswords(db, passwords, lockouts), SecondFactors(factors, passkeys)
    step_up = StepUp(db, sessions, factors, guarded, lockouts, ledger)
    entrance = Entrance(sessions, programs, lockouts, rooms, ledger)
    accounts = Accounts(
        db,
        identities,
        passwords,
        invitations,
        sessions,
        entrance,
        ledger,
        guarded,
        second,
        lockouts,
        errands,
        notices,
        limits,
        Rules(settings.registration, settings.registration_reveals),
        now=now,
    )
    return People(
        accounts=accounts,
        operating=Operating(db, identities, passwords, invitations, sessions, ledger, second, lockouts),
        passkey_sign_in=PasskeySignIn(db, identities, passkeys, entrance, ledger, limits),
        confirming=Confirming(db, identities, passwords, links, errands, second, entrance, ledger, limits),
        resetting=Resetting(
            db, identities, passwords, links, errands, notices, sessions, lockouts, second, ledger, limits
        ),
        not_me=NotMe(db, identities, passwords, links, sessions, ledger, limits),
        answering=Answering(identities, passwords, links, mail, notices, ledger),
        entrance=entrance,
        factors=factors,
        enrolling=Enrolling(db, factors, totp, passkeys, recovery, step_up),
        step_up=step_up,
        reauthentication=Reauthentication(factors, passkeys, step_up, guarded),
        lockouts=lockouts,
    )


def _policy(settings: Settings) -> Policy:
    return Policy(
        minimum=settings.password_minimum,
        minimum_with_factor=settings.password_minimum_with_factor,
        classes=settings.password_classes,
        history=settings.password_history,
        maximum_age=timedelta(days=settings.password_days) if settings.password_days else None,
    )
