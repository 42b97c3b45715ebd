"""The command `keybearer`. Each command is a module of its own, imported when it runs, so that `--help` is quick."""

from pathlib import Path
from typing import Annotated

import typer

from keybearer import __version__
from keybearer.cli import admin, keys, ledger, offsite, token, users
from keybearer.cli.run import run

app = typer.Typer(
    name="keybearer",
    help="Lets AI agents act for people without ever holding their keys.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    if version:
        typer.echo(f"keybearer {__version__}")
        raise typer.Exit


@app.command()
def up(
    port: Annotated[int, typer.Option(help="The product's port; the internal one is +1, the sandbox's +2.")] = 8080,
    data: Annotated[Path, typer.Option(help="The folder that everything is kept in.")] = Path(".keybearer"),
    dev: Annotated[bool, typer.Option("--dev", help="Reload when the API or the UI changes.")] = False,
) -> None:
    """Run the whole product on this machine, with a database of its own. Ctrl-C stops all of it."""
    from keybearer.cli import failures
    from keybearer.cli import up as command

    with failures.explained():
        command.up(port=port, data=data, dev=dev)


@app.command()
def serve(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; on a cluster, pods instead.")] = 1,
) -> None:
    """Run the API with the settings in the environment. Refuses to start on anything unsafe."""
    from keybearer.cli import failures
    from keybearer.cli import serve as command

    with failures.explained():
        command.serve(workers=workers)


@app.command()
def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL that would be run, and do nothing.")
    ] = False,
    roles: Annotated[bool, typer.Option("--roles", help="Make the database roles, with a login that may.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Only wait until KEYBEARER_DATABASE_URL has the schema.")
    ] = False,
    restored: Annotated[
        bool, typer.Option("--restored", help="With --wait: also until a restore was done there.")
    ] = False,
    timeout: Annotated[int, typer.Option(min=0, help="Seconds that --wait waits at most.")] = 600,
) -> None:
    """Bring the database in KEYBEARER_MIGRATION_DATABASE_URL to this version's schema."""
    from keybearer.cli import failures
    from keybearer.cli import migrate as command

    if wait and (dry_run or roles):
        raise typer.BadParameter("--wait goes without --dry-run and --roles.")
    if restored and not wait:
        raise typer.BadParameter("--restored goes with --wait.")
    with failures.explained():
        if wait:
            command.wait(seconds=timeout, restored=restored)
        else:
            command.migrate(dry_run=dry_run, roles=roles)


@app.command()
def init(
    folder: Annotated[Path, typer.Option(help="Where keys and passwords go.")] = Path("secrets"),
    environment: Annotated[Path, typer.Option(help="Where names and addresses go.")] = Path(".env"),
    public_url: Annotated[str, typer.Option(help="Where people will open Keybearer.")] = "http://localhost:8080",
    database: Annotated[bool, typer.Option("--database", help="Instead, make roles and database.")] = False,
    exporter: Annotated[bool, typer.Option("--exporter", help="With --database: one that sees statistics.")] = False,
    timeout: Annotated[int, typer.Option(min=0, help="Seconds that --database waits for the server.")] = 600,
    kubernetes: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead, make Secrets NAME-… of a cluster, from a pod in it.")
    ] = None,
    secret: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="One that --kubernetes makes, such as keyring; repeats.")
    ] = None,
) -> None:
    """Make the secrets that compose.yaml mounts, readable by you alone. Never overwrites."""
    from keybearer.cli import failures

    if (secret and kubernetes is None) or (database and kubernetes is not None):
        raise typer.BadParameter("--secret goes with --kubernetes, and --database without.")
    with failures.explained():
        if kubernetes is not None:
            from keybearer.cli import cluster_secrets
            from keybearer.cli.kubernetes_api import ServiceAccount

            cluster_secrets.make(kubernetes, secret or [], ServiceAccount.of_this_pod())
        elif database:
            from keybearer.cli import init_database

            init_database.prepare(seconds=timeout, exporter=exporter)
        else:
            from keybearer.cli import init as command

            command.write_files(folder, environment, public_url=public_url)


@app.command()
def verify(
    url: Annotated[str | None, typer.Option(help="Also check this public address from outside.")] = None,
    through: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Connect there, and ask for --url all the same.")
    ] = None,
) -> None:
    """Check configuration, database, keyring and providers; exit 1 with what is wrong."""
    from keybearer.cli import failures
    from keybearer.cli import verify as command

    if through is not None and (url is None or not through.rpartition(":")[2].isdecimal()):
        raise typer.BadParameter("--through goes with --url, and is a host and a port.")
    with failures.explained():
        command.verify(url, through=through)


@app.command()
def backup(
    to: Annotated[Path | None, typer.Option(help="The folder that archives are kept in.")] = None,
    keep_days: Annotated[
        int | None, typer.Option(min=1, help="Remove older archives afterwards, never the newest.")
    ] = None,
    erasures_to: Annotated[
        Path | None, typer.Option(help="Also, or only: bring the erasure log in that folder up to date.")
    ] = None,
) -> None:
    """Write the database in KEYBEARER_MIGRATION_DATABASE_URL to one encrypted file, and read it back."""
    from keybearer.cli import backup as command
    from keybearer.cli import failures

    if to is None and (erasures_to is None or keep_days is not None):
        raise typer.BadParameter("--to or --erasures-to names a folder, and --keep-days goes with --to.")
    with failures.explained():
        command.backup(to=to, keep_days=keep_days, erasures_to=erasures_to)


@app.command()
def restore(
    file: Annotated[Path | None, typer.Argument(help="An archive of `keybearer backup`.")] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="The database was put back by other means: do what is left to do.")
    ] = False,
    erasures: Annotated[
        bool, typer.Option("--erasures", help="Delete again who left since, where the restore could not.")
    ] = False,
    drill: Annotated[
        bool, typer.Option("--drill", "--scratch", help="Only try it, in a database of its own that is dropped again.")
    ] = False,
    source: Annotated[Path | None, typer.Option("--from", help="A folder, for its newest archive.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Into the folder of `keybearer up`, whose database is started for this.")
    ] = None,
) -> None:
    """Fill the empty database in KEYBEARER_MIGRATION_DATABASE_URL from an archive. Stop the servers first."""
    from keybearer.cli import failures
    from keybearer.cli import restore as command
    from keybearer.cli.drill import drill as try_out

    if (file is not None) + (source is not None) + in_place + erasures != 1:
        raise typer.BadParameter("name a file, or --from, or --in-place, or --erasures.")
    if drill and (in_place or erasures):
        raise typer.BadParameter("--drill goes with a file or --from.")
    if data is not None and (drill or in_place or erasures):
        raise typer.BadParameter("--data goes with a file or --from alone.")
    with failures.explained():
        if drill:
            try_out(file, source)
        elif in_place:
            command.settle_in_place()
        elif erasures:
            command.replay_erasures()
        elif data is not None:
            command.restore_folder(file, source, data)
        else:
            command.restore(file, source)


@app.command()
def prune(
    ledger_to: Annotated[
        Path | None, typer.Option(help="The folder that old ledger batches are moved to; without it they stay.")
    ] = None,
    ledger_days: Annotated[int, typer.Option(min=1, help="How old a batch must be to be moved.")] = 365,
) -> None:
    """Remove what is long over, and move old parts of the ledger to files."""
    from keybearer.cli import failures
    from keybearer.cli import prune as command

    with failures.explained():
        command.prune(ledger_to=ledger_to, ledger_days=ledger_days)


app.command(context_settings={"allow_interspersed_args": False})(run)
app.add_typer(admin.app, name="admin")
app.add_typer(keys.app, name="keys")
app.add_typer(ledger.app, name="ledger")
app.add_typer(offsite.app, name="offsite")
app.add_typer(token.app, name="token")
app.add_typer(users.app, name="users")
