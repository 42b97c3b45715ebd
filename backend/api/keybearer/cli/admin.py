"""`keybearer admin`: accounts from the command line, where nobody can sign in yet, or any more."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from keybearer.cli import failures

if TYPE_CHECKING:
    from keybearer.bootstrap.services import Services

T = TypeVar("T")

app = typer.Typer(help="Make accounts, set passwords, invite people.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The email address that the person signs in with.")]
Role = Annotated[str, typer.Option(help="`admin` or `member`.")]


@app.command()
def create(
    email: Email,
    name: Annotated[
        str | None, typer.Option(help="What the person is called; the address, where it is left out.")
    ] = None,
    role: Role = "admin",
) -> None:
    """Make an account. The password is asked for, or read from standard input; it is never an argument."""
    check_role(role)
    password = _password()
    with failures.explained():
        user = asyncio.run(
            with_services(
                lambda made: made.people.operating.create(made.tenancy.default, email, name or email, role, password)
            )
        )
    typer.echo(f"{user.email} can sign in, with the role {user.role}.")


@app.command("reset-password")
def reset_password(email: Email) -> None:
    """Set a new password and end all sessions of the account. It is asked for, or read from standard input."""
    password = _password()
    with failures.explained():
        ended = asyncio.run(
            with_services(lambda made: made.people.operating.reset_password(made.tenancy.default, email, password))
        )
    typer.echo(f"The password of {email} is set. Sessions ended: {ended}.")


@app.command("hash")
def hash_password(email: Email) -> None:
    """Print the hash of a password for ADMIN_PASSWORD_HASH. It is asked for, or read from standard input."""
    from keybearer.identity.passwords.hashing import Hashing
    from keybearer.identity.passwords.policy import Policy
    from keybearer.identity.passwords.service import Passwords
    from keybearer.signin.accounts.model import words_of

    password, hashing = _password(), Hashing()
    with failures.explained():
        typer.echo(asyncio.run(Passwords(hashing, Policy()).hash_new(password, words=words_of(email, email))))


@app.command()
def invite(email: Email, role: Role = "member") -> None:
    """Let somebody register with that address within seven days. Prints the invitation, which works once."""
    check_role(role)
    with failures.explained():
        token = asyncio.run(with_services(lambda made: made.people.operating.invite(made.tenancy.default, email, role)))
    typer.echo(token)


def check_role(role: str) -> None:
    if role not in {"admin", "member"}:
        raise typer.BadParameter("use admin or member.", param_hint="--role")


def _password() -> str:
    """Arguments are seen by everybody on the machine, and kept in the shell's history."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


async def with_services(work: Callable[[Services], Awaitable[T]]) -> T:
    from keybearer.bootstrap.services import open_services
    from keybearer.kit import settings

    async with open_services(settings.read(), background=False) as services:
        return await work(services)
