"""Starts the sandbox from a shell: `python -m keybearer_sandbox --port 8082`."""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from keybearer_sandbox.control.routes import is_redirect_uri
from keybearer_sandbox.server import Listening, ServerOptions, serve
from keybearer_sandbox.settings import DEFAULT_REDIRECT_URIS
from keybearer_sandbox.state_file import StateFileBroken


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        asyncio.run(serve(options, _announce))
    except KeyboardInterrupt:  # before the server took over the signals
        return 0
    except (OSError, StateFileBroken) as error:
        print(f"keybearer-sandbox: {error}", file=sys.stderr)  # noqa: T201 this is a command
        return 1
    return 0


def _announce(listening: Listening) -> None:
    """One JSON line, which whoever started the process waits for."""
    print(json.dumps(asdict(listening)), flush=True)  # noqa: T201 this is a command


def _parse(arguments: list[str] | None) -> ServerOptions:
    parser = argparse.ArgumentParser(
        prog="keybearer-sandbox",
        description="Fake Google, Spotify, GitHub and OpenID Connect providers for development and tests. "
        'Prints one JSON line, {"url": …, "smtp_port": …}, when it is ready.',
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    add("--port", type=_port, default=0, help="port of HTTP; 0, the default, takes any free one")
    add("--public-url", type=_origin, help="origin that clients reach it at, where it is not http://HOST:PORT")
    add(
        "--redirect-uri",
        type=_redirect_uri,
        action="append",
        metavar="URI",
        help=f"a redirect URI registered at every provider; repeatable (default: {DEFAULT_REDIRECT_URIS[0]})",
    )
    add("--state", type=Path, metavar="FILE", help="keep tokens and consents in this file over restarts")
    add("--smtp-port", type=_port, help="also catch mail at this port; 0 takes any free one")
    add("--until-stdin-closes", action="store_true", help="end when standard input ends, as the parent dies")
    found = parser.parse_args(arguments)
    return ServerOptions(
        host=found.host,
        port=found.port,
        redirect_uris=tuple(dict.fromkeys(found.redirect_uri or DEFAULT_REDIRECT_URIS)),
        public_url=found.public_url,
        smtp_port=found.smtp_port,
        state_file=found.state,
        until_stdin_closes=found.until_stdin_closes,
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _redirect_uri(text: str) -> str:
    if not is_redirect_uri(text):
        raise argparse.ArgumentTypeError("an absolute http or https address without a fragment is needed")
    return text


def _origin(text: str) -> str:
    if not is_redirect_uri(text) or "?" in text:
        raise argparse.ArgumentTypeError("an origin such as http://sandbox.test:8082 is needed")
    return text.rstrip("/")


if __name__ == "__main__":
    sys.exit(main())
