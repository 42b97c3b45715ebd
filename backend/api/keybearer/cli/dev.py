"""`keybearer up --dev`: Vite on the product's port with hot reload, and an API behind it that restarts on changes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from watchfiles import run_process

from keybearer.kit.errors import ConfigurationError
from keybearer.kit.settings import PREFIX

_REPOSITORY = Path(__file__).parents[4]
_UI = _REPOSITORY / "frontend-proxy" / "ui"
_SOURCES = _REPOSITORY / "backend" / "api" / "keybearer"


def serve(environment: Mapping[str, str], port: int, api_port: int) -> None:
    """Until Ctrl-C. The browser talks to Vite alone, which passes /api on, so that it is one origin."""
    node = shutil.which("node")
    if node is None:
        raise ConfigurationError("`up --dev` needs Node.js for the UI. Use `make dev`, which brings it.")
    os.environ.update({**environment, f"{PREFIX}PORT": str(api_port)})
    os.environ.pop(f"{PREFIX}UI_DIR", None)
    vite = subprocess.Popen(
        [node, "node_modules/vite/bin/vite.js", "--port", str(port), "--strictPort"],
        cwd=_UI,
        env={**os.environ, "KEYBEARER_API": f"http://127.0.0.1:{api_port}"},
        stdin=subprocess.DEVNULL,
    )
    try:
        run_process(_SOURCES, target=f"{sys.executable} -m keybearer serve", target_type="command")
    finally:
        vite.terminate()
        vite.wait()
