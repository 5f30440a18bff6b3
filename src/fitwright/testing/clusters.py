"""A Ray cluster on this machine, for tests: loopback only, with a token, and gone afterwards.

Ray replaces loopback addresses by one that other machines can reach, and then listens on all
of them. Its processes are started here with that replacement taken out.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, final
from unittest import mock

import psutil

LOOPBACK = "127.0.0.1"
START_S = 120.0
STORE_BYTES = 100 << 20  # shared memory for objects, of each node
TOKEN = secrets.token_hex(32)  # one for this process, which reads it once
_RAY = """
import ray._private.services as services
services.resolve_ip_for_localhost = lambda host: host
services.get_node_ip_address = lambda *address: "127.0.0.1"
from ray.scripts.scripts import main
main()
"""
# Ray Client's server starts one more process for each driver; it takes the replacement out too.
_IN_EVERY_PROCESS = """
import importlib.abc, importlib.util, sys

class Loopback(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "ray._private.services":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def exec_module(module):
            execute(module)
            module.resolve_ip_for_localhost = lambda host: host
            module.get_node_ip_address = lambda *address: "127.0.0.1"
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Loopback())
"""


@final
class Cluster:
    """A head that computes nothing, and nodes with labels.

    Args:
        folder: Ray's, with a short path.
        client: whether drivers may come through Ray Client (``ray://``) as well.

    Attributes:
        address: of the head, ``127.0.0.1:PORT``.
        client_address: ``ray://127.0.0.1:PORT``; empty without Ray Client.
        token: what a driver must show.
        nodes: the process of each node, in the order of the labels.
    """

    def __init__(self, folder: Path, *, client: bool = False) -> None:
        self.token = TOKEN
        self.address = f"{LOOPBACK}:{_free_port()}"
        self.client_address = f"ray://{LOOPBACK}:{_free_port()}" if client else ""
        self.nodes: list[psutil.Popen] = []
        self._folder = folder
        if client:
            (folder.parent / "sitecustomize.py").write_text(_IN_EVERY_PROCESS)
        port = self.address.rpartition(":")[2]
        self.head = self._start(
            *("--head", f"--port={port}", f"--temp-dir={folder}", "--num-cpus=0"),
            *("--include-dashboard=false", "--include-log-monitor=false", "--disable-usage-stats"),
            *(_client_server(self.client_address) if client else ()),
        )

    def add(self, devices: Sequence[str]) -> psutil.Popen:
        """Start a node that offers this hardware."""
        offered = json.dumps({f"fitwright_device:{device}": 1 for device in devices})
        self.nodes.append(
            self._start(f"--address={self.address}", "--num-cpus=1", f"--resources={offered}")
        )
        return self.nodes[-1]

    def processes(self) -> list[psutil.Process]:
        """Every process of the cluster."""
        return [one for top in (self.head, *self.nodes) for one in _tree(top)]

    def end(self) -> None:
        """Kill everything."""
        for top in (*self.nodes, self.head):
            kill_tree(top)

    def _start(self, *options: str) -> psutil.Popen:
        log = (self._folder.parent / f"{len(self.nodes)}-{secrets.token_hex(4)}.log").open("w+")
        command = [sys.executable, "-W", "ignore", "-c", _RAY, "start", "--block", *options]
        command += [f"--node-ip-address={LOOPBACK}", f"--object-store-memory={STORE_BYTES}"]
        process = psutil.Popen(
            command,
            env={**os.environ, **self.environment(), **self._python_path()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        _until_it_blocks(process, log)
        return process

    def _python_path(self) -> Mapping[str, str]:
        if not self.client_address:
            return {}
        stated = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        return {
            "PYTHONPATH": os.pathsep.join([str(self._folder.parent), *filter(None, stated)]),
            # its server forks while threads are in gRPC, and now and then the child dies of it
            "GRPC_ENABLE_FORK_SUPPORT": "0",
        }

    def environment(self) -> Mapping[str, str]:
        """What a driver needs to be let in."""
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "FITWRIGHT_CACHE_DIR": str(self._folder.parent / "cache"),
        }


def _until_it_blocks(process: psutil.Popen, log: IO[str]) -> None:
    end = time.monotonic() + START_S
    with log:
        while process.poll() is None and time.monotonic() < end:
            log.seek(0)
            if "--block" in log.read():
                return
            time.sleep(0.1)
        log.seek(0)
        said = log.read()
    kill_tree(process)
    raise RuntimeError(f"Ray did not start:\n{said[-2000:]}")


def _tree(top: psutil.Process) -> list[psutil.Process]:
    try:
        return [*top.children(recursive=True), top]
    except psutil.NoSuchProcess:
        return []


def kill_tree(top: psutil.Process) -> None:
    """Kill a process and everything beneath it, and wait for its end."""
    found = _tree(top)
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(found, timeout=10)


def _client_server(address: str) -> tuple[str, ...]:
    return (f"--ray-client-server-port={address.rpartition(':')[2]}",)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def local_cluster(*nodes: Sequence[str], client: bool = False) -> Iterator[Cluster]:
    """A head and a node for each list of labels; a driver in this process may use it.

    Args:
        client: whether drivers may come through Ray Client as well; needs its packages.
    """
    place = Path(tempfile.mkdtemp(prefix="fw-", dir="/tmp"))  # Ray's socket paths must be short
    cluster = None
    try:
        cluster = Cluster(place / "ray", client=client)
        for devices in nodes:
            cluster.add(devices)
        with mock.patch.dict(os.environ, cluster.environment()), _loopback_kept():
            yield cluster
    finally:
        if cluster is not None:
            cluster.end()
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _loopback_kept() -> Iterator[None]:
    from ray._private import services  # Ray reads its environment when it is first imported

    with (
        mock.patch.object(services, "resolve_ip_for_localhost", lambda host: host),
        mock.patch.object(services, "get_node_ip_address", lambda *_: LOOPBACK),
    ):
        yield
