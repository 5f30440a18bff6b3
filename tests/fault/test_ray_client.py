"""Drivers that come through Ray Client (``ray://``), with a token, on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

if find_spec("ray") is None:  # not imported here: it reads its environment when it is
    pytest.skip("the extra `ray` is not installed", allow_module_level=True)
if find_spec("grpc") is None:
    pytest.skip(
        "Ray Client's package is missing: pip install 'ray[client]'", allow_module_level=True
    )

from fitwright.records.run import RunFolder
from fitwright.testing.clusters import LOOPBACK, TOKEN, Cluster, local_cluster
from fitwright.testing.models import write_two_layers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with local_cluster(["small"], ["large"], client=True) as cluster:
        yield cluster


def run(*arguments: str, env: dict[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """A process of Python that does not outlive the time."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_a_model_is_fitted_through_ray_client(cluster: Cluster, tmp_path: Path) -> None:
    model = write_two_layers(tmp_path / "model.onnx")
    place = f"{cluster.client_address}#large"
    runs = tmp_path / "runs"
    done = run(
        *("-m", "fitwright", "fit", str(model), "--executor", place, "--runs", str(runs)),
        *("--time", "10s", "--json"),
        env={**os.environ, **cluster.environment()},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "met"
    trials = RunFolder(Path(answer["run"])).trials()
    assert trials, "nothing was measured"
    assert {t.figures["latency_p50"].label for t in trials if t.figures} == {"measured"}
    assert TOKEN not in done.stdout + done.stderr


def test_its_server_listens_on_loopback_alone(cluster: Cluster) -> None:
    listening = set()
    for process in cluster.processes():
        try:
            found = process.net_connections()
        except psutil.NoSuchProcess:
            continue
        listening |= {c.laddr for c in found if c.status == "LISTEN"}
    assert {ip.removeprefix("::ffff:") for ip, _ in listening} == {LOOPBACK}
    assert cluster.client_address.rpartition(":")[2] in {str(port) for _, port in listening}


INTRUDER = """
import sys
from fitwright.errors import BackendMissing
from fitwright.executors.ray import RayExecutor
try:
    RayExecutor(sys.argv[1])
except BackendMissing as error:
    print(error.code)
"""


@pytest.mark.parametrize(
    "stated", [{}, {"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "0" * 64}]
)
def test_without_its_token_ray_client_lets_nobody_in(
    cluster: Cluster, stated: dict[str, str], tmp_path: Path
) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    env = {**kept, "HOME": str(tmp_path), **stated}
    done = run("-c", INTRUDER, cluster.client_address, env=env, timeout=120)
    assert done.stdout == "FW305\n", done.stderr
    assert TOKEN not in done.stderr


SILENT = """
import sys, time
from fitwright.errors import BackendMissing
from fitwright.executors import cluster
from fitwright.executors.ray import RayExecutor
cluster.CLIENT_S = 0.2  # less than a process takes to start
try:
    RayExecutor(sys.argv[1])
except BackendMissing as error:
    print(error.code, "within 0.2 s" in str(error))
"""


def test_a_server_that_never_lets_the_driver_in_is_no_wait_without_end(cluster: Cluster) -> None:
    env = {**os.environ, **cluster.environment()}
    done = run("-c", SILENT, cluster.client_address, env=env, timeout=120)
    assert done.stdout == "FW304 True\n", done.stderr
