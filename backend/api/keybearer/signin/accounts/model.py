"""What comes with a request of a local account, and what it is answered with."""

from dataclasses import dataclass, field

from keybearer.identity.model import User
from keybearer.kit.principal import Principal
from keybearer.rooms.service import RoomToken
from keybearer.sessions.model import Opened
from keybearer.sessions.programs.model import Pair
from keybearer.signin.accounts.factors import Proof


@dataclass(frozen=True, slots=True)
class Newcomer:
    email: str
    password: str = field(repr=False)
    name: str
    invitation: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """`new_password` replaces one that is older than the installation allows."""

    email: str
    password: str = field(repr=False)
    proof: Proof
    new_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks. A browser gets a cookie, which script cannot read; `principal` is whose session it came with."""

    user_agent: str
    browser: bool
    principal: Principal | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`pair` is None for a browser, `room` where there is no LiveKit server."""

    user: User
    session: Opened
    pair: Pair | None
    room: RoomToken | None


def words_of(email: str, name: str) -> list[str]:
    """What somebody who knows the person would try first as their password."""
    local, _, domain = email.partition("@")
    return [email, local, domain, domain.partition(".")[0], name, *name.split(), "keybearer"]
