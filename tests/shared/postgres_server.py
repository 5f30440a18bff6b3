"""A PostgreSQL server of our own: loopback only, in a folder that goes away."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PORTS, START_S = 3, 120.0
USER = "nobody"  # PostgreSQL refuses to run as root


def postgres_programs() -> Path | None:
    """Folder of `initdb` and `postgres`, the newest first; None where there is none."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: p.parts[-2])
    if found := shutil.which("initdb"):
        places.insert(0, Path(found).resolve().parent)
    usable = (p for p in reversed(places) if (p / "initdb").exists() and (p / "postgres").exists())
    return next(usable, None)


@contextmanager
def running_postgres(programs: Path) -> Iterator[str]:
    """The URL of a fresh server that answers."""
    as_user = {"user": USER} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="fitwright-pg-") as place:
        folder = Path(place)
        if as_user:
            shutil.chown(folder, USER)
        data = folder / "data"
        initdb = [programs / "initdb", "-D", data, "-A", "trust", "-U", "fitwright", "-N"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **as_user)  # type: ignore[call-overload]
        server, port = started(programs / "postgres", folder, as_user)
        try:
            yield f"postgresql://fitwright@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: open connections are ended
            server.wait(timeout=120)


def started(
    program: Path, folder: Path, as_user: dict[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    """A server that answers, and its port; another one where somebody took the first."""
    for _ in range(PORTS):
        port = free_port()
        options = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "",
            "max_connections": 40, "shared_buffers": "16MB",
        }  # fmt: skip
        command = [program, "-D", folder / "data"]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **as_user)  # type: ignore[call-overload]
        if answers(port, server):
            return server, port
        server.kill()
        server.wait()
    raise AssertionError((folder / "log").read_text())


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    """Whether it does in time; False once it has ended."""
    import psycopg

    end = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < end:
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=fitwright dbname=postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False
