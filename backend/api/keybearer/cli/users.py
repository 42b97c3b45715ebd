"""`keybearer users`: everybody with an account, and people who are brought along from another system."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keybearer.cli import failures
from keybearer.cli.admin import Email, check_role, with_services

if TYPE_CHECKING:
    from keybearer.bootstrap.services import Services
    from keybearer.signin.accounts.operating import Brought

_WRONG_SHOWN = 20

app = typer.Typer(help="List people, disable them, change their role, bring them along.", no_args_is_help=True)


@app.command("list")
def list_users(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, the oldest account first.")] = 1000,
) -> None:
    """Show who has an account."""
    with failures.explained():
        people = asyncio.run(with_services(lambda made: made.people.operating.people(made.tenancy.default, limit)))
    rows = [
        {
            "id": str(each.id),
            "email": each.email,
            "name": each.name,
            "role": each.role,
            "email_verified": each.email_verified,
            "disabled": each.disabled,
        }
        for each in people
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max((len(each.email or "—") for each in people), default=0)
    for each in people:
        notes = "disabled" if each.disabled else "" if each.email_verified else "address not confirmed"
        typer.echo(f"{each.email or '—':<{width}}  {each.role:<7}  {each.name}  {notes}".rstrip())


@app.command()
def disable(email: Email) -> None:
    """Keep somebody out: sessions, tokens, API keys and grants end within seconds. Nothing is deleted."""
    with failures.explained():
        ended = asyncio.run(
            with_services(lambda made: made.people.operating.set_disabled(made.tenancy.default, email, disabled=True))
        )
    typer.echo(f"{email} is disabled. Sessions ended: {ended}.")


@app.command()
def enable(email: Email) -> None:
    """Let somebody in again."""
    with failures.explained():
        asyncio.run(
            with_services(lambda made: made.people.operating.set_disabled(made.tenancy.default, email, disabled=False))
        )
    typer.echo(f"{email} may sign in again.")


@app.command("set-role")
def set_role(email: Email, role: Annotated[str, typer.Argument(help="`admin` or `member`.")]) -> None:
    """Change what somebody may do. The last admin stays one."""
    check_role(role)
    with failures.explained():
        asyncio.run(with_services(lambda made: made.people.operating.set_role(made.tenancy.default, email, role)))
    typer.echo(f"{email} has the role {role}.")


@app.command("export")
def export_users(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object in each line, instead of CSV.")] = False,
    password_hashes: Annotated[
        bool, typer.Option("--password-hashes", help="With them, for another system. Keep the file as a secret.")
    ] = False,
) -> None:
    """Print everybody who has an address, as `users import` reads it."""
    from keybearer.cli import people_file

    with failures.explained():
        people = asyncio.run(
            with_services(lambda made: made.people.operating.export(made.tenancy.default, hashes=password_hashes))
        )
    people_file.write(people, sys.stdout, as_json=as_json)


@app.command("import")
def import_users(
    file: Annotated[Path, typer.Argument(help="CSV, or JSON lines where it ends in .json, .jsonl or .ndjson.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look at everything, and make nothing.")] = False,
) -> None:
    """Make accounts for people of another system, with the hashes of their passwords: email, name, role,
    email_verified, password_hash.

    Nobody is made as long as one line is wrong. Whoever is here already stays as they are, so it can be run again.
    """
    from keybearer.cli import people_file

    with failures.explained():
        people = list(people_file.read(file))
        made, there = asyncio.run(with_services(lambda services: _bring(services, people, dry_run=dry_run)))
    verb = "would be made" if dry_run else "made"
    typer.echo(f"{made:,} accounts {verb}, {there:,} were here already.")


async def _bring(services: Services, people: list[tuple[int, Brought]], *, dry_run: bool) -> tuple[int, int]:
    from keybearer.cli import progress

    operating, tenant = services.people.operating, services.tenancy.default
    _refuse_wrong(services, people)
    made = 0
    with progress.shown("Looking") as show:
        for done, (_, person) in enumerate(people, 1):
            if dry_run:
                made += not await operating.is_here(tenant, person.email)
            else:
                made += await operating.bring(tenant, person)
            show(f"{done:,} of {len(people):,}")
    return made, len(people) - made


def _refuse_wrong(services: Services, people: list[tuple[int, Brought]]) -> None:
    """Raises ConfigurationError with the first lines that are wrong."""
    from keybearer.kit.errors import ConfigurationError

    wrong: list[str] = []
    seen: dict[str, int] = {}
    for line, person in people:
        earlier = seen.setdefault(person.email.lower(), line)
        why = services.people.operating.why_not(person)
        if why is None and earlier != line:
            why = f"The address is in line {earlier} already."
        if why is not None:
            wrong.append(f"line {line}: {why}")
    if wrong:
        more = f"\nand {len(wrong) - _WRONG_SHOWN} more" if len(wrong) > _WRONG_SHOWN else ""
        shown = "\n".join(wrong[:_WRONG_SHOWN])
        raise ConfigurationError(f"nothing was made, because {len(wrong)} lines are wrong:\n{shown}{more}")
