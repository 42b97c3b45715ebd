"""`keybearer offsite`: a copy of the backup volume in an S3 bucket, encrypted with the keyring before it leaves."""

from __future__ import annotations

import signal
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keybearer.cli import failures

if TYPE_CHECKING:
    from keybearer.backups.making import Tell
    from keybearer.backups.offsite.bucket import Bucket
    from keybearer.backups.offsite.pushing import Push, Pushed
    from keybearer.backups.offsite.stored import Stored

app = typer.Typer(help="Keep a copy of all backups in an S3 bucket, and bring it back.", no_args_is_help=True)

_ADDRESS = "Such as s3://bucket/folder. Credentials, AWS_REGION and AWS_ENDPOINT_URL_S3 are in the environment."


@app.command()
def push(
    source: Annotated[Path, typer.Option("--from", help="The folder that archives, base backups and WAL are in.")],
    to: Annotated[str, typer.Option(help=_ADDRESS)],
    every: Annotated[int | None, typer.Option(min=1, help="Go on, after so many seconds each time.")] = None,
    pulse: Annotated[
        Path | None,
        typer.Option(
            help="With --every, a folder for probes: `alive` is touched at work, `wal` and `rest` when all is there."
        ),
    ] = None,
) -> None:
    """Copy what is new in a folder to a bucket, and remove there what was tidied away."""
    if pulse is not None and every is None:
        raise typer.BadParameter("--pulse goes with --every.")
    with failures.explained():
        lanes = _lanes(source, to, pulse)
        if every is None:
            _push_once(lanes)
        else:
            _push_for_ever(lanes, every)


@app.command()
def pull(
    source: Annotated[str, typer.Option("--from", help=_ADDRESS)],
    to: Annotated[Path, typer.Option(help="An empty folder, or one that an interrupted pull left.")],
) -> None:
    """Bring everything in a bucket back, each piece proved with the keyring."""
    from keybearer.backups.offsite import pulling
    from keybearer.cli import progress
    from keybearer.keys import keyring
    from keybearer.kit import settings

    with failures.explained():
        ring, bucket = keyring.load(settings.keyring_dir()), _bucket(source)
        with progress.shown("Listing") as tell:
            done = pulling.pull(bucket, to, ring, tell)
        typer.echo(f"{to}: {done.files:,} files, {done.size:,} bytes, each as it was pushed.")
        for path in done.left_out:
            typer.echo(f"left out, because it is not there as a whole: {path}")


@app.command("list")
def list_stored(source: Annotated[str, typer.Argument(metavar="ADDRESS", help=_ADDRESS)]) -> None:
    """Say what is in a bucket, by folder, and how old the newest of it is."""
    from keybearer.backups.offsite.stored import Stored

    with failures.explained():
        stored = Stored.of(_bucket(source))
        for line in _described(stored):
            typer.echo(line)


def _bucket(url: str) -> Bucket:
    from keybearer.backups.offsite.bucket import Address, Bucket

    return Bucket(Address.parse(url))


def _described(stored: Stored) -> list[str]:
    """A line for each folder, and one for each file that is not there as a whole."""
    from keybearer.backups.offsite import volume

    folders: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for state in stored.whole():
        parent, _, name = state[0].path.rpartition("/")
        folders[parent].append((state[0].written, name))
    whole = {f"{parent}/{name}".lstrip("/") for parent, files in folders.items() for _, name in files}
    lines = [
        f"{parent or '.'}: {len(files):,} files, the newest {max(files)[1]} of {max(files)[0]}"
        for parent, files in sorted(folders.items())
        if not volume.is_empty_folder(f"{parent}/{max(files)[1]}")
    ]
    lines += [f"not there as a whole: {path}" for path in sorted(set(stored.paths()) - whole)]
    return lines or ["There is nothing in it."]


@dataclass(slots=True)
class _Lane:
    """What is pushed one after the other. Two go side by side, so that WAL never waits for a large file."""

    name: str
    push: Push
    pulse: Path | None
    _problem: str | None = field(default="", init=False)  # of the last run; none came before the first

    def run(self, tell: Tell) -> Pushed:
        """With the keyring as it is now, which a rotation may have changed. Raises BackupError, ConfigurationError."""
        from keybearer.keys import keyring
        from keybearer.kit import settings

        return self.push.run(keyring.load(settings.keyring_dir()), tell)

    def repeat(self, every: int, stop: threading.Event) -> None:
        """A failure is said once, and what failed is tried again."""
        from keybearer.backups.errors import BackupError
        from keybearer.kit.errors import ConfigurationError

        while not stop.is_set():
            try:
                done = self.run(lambda _: self._touch("alive"))
            except (BackupError, ConfigurationError) as error:
                if str(error) != self._problem:
                    typer.echo(f"keybearer: {self.name}: {error}", err=True)
                self._problem = str(error)
            else:
                if done.files or done.removed or self._problem is not None:
                    typer.echo(_said(self, done))
                self._problem = None
                self._touch(self.name)
            self._touch("alive")
            stop.wait(every)

    def _touch(self, name: str) -> None:
        if self.pulse is not None:
            (self.pulse / name).touch()


def _said(lane: _Lane, done: Pushed) -> str:
    return f"{lane.name}: {done.files:,} files, {done.size:,} bytes pushed; {done.removed:,} old objects removed."


def _lanes(source: Path, to: str, pulse: Path | None) -> list[_Lane]:
    from keybearer.backups.offsite import volume
    from keybearer.backups.offsite.pushing import Push

    bucket = _bucket(to)
    return [
        _Lane("wal", Push(bucket, source, volume.is_urgent), pulse),
        _Lane("rest", Push(bucket, source, lambda path: not volume.is_urgent(path)), pulse),
    ]


def _push_once(lanes: list[_Lane]) -> None:
    from keybearer.cli import progress

    for lane in lanes:
        with progress.shown("Copying") as tell:
            done = lane.run(tell)
        typer.echo(_said(lane, done))


def _push_for_ever(lanes: list[_Lane], every: int) -> None:
    """Until a signal. What is under way then is cut off, which a push can take at any point."""
    stop, failed = threading.Event(), threading.Event()

    def work(lane: _Lane) -> None:
        try:
            lane.repeat(every, stop)
        except BaseException:
            failed.set()
            raise
        finally:
            stop.set()

    # The first process of a container is not ended by a signal that it does not listen to.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    for lane in lanes:
        threading.Thread(target=work, args=(lane,), name=lane.name, daemon=True).start()
    stop.wait()
    if failed.is_set():
        raise typer.Exit(1)
