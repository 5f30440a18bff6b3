"""A cluster on loopback: who is let in, what travels, and what happens when a node dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("ray") is None:  # not imported here: it reads its environment when it is
    pytest.skip("the extra `ray` is not installed", allow_module_level=True)

from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.errors import BackendMissing, ModelRefused
from fitwright.executors.ray import RayExecutor
from fitwright.ports import ChildLimits
from fitwright.records.plan import Settings
from fitwright.testing import faults
from fitwright.testing.clusters import LOOPBACK, TOKEN, Cluster, local_cluster
from fitwright.testing.models import two_layers, write_two_layers

pytestmark = pytest.mark.slow
LIMITS = ChildLimits(wall_s=60.0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with local_cluster(["small"], ["large"]) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def executor(cluster: Cluster) -> Iterator[RayExecutor]:
    executor = RayExecutor(cluster.address)
    yield executor
    executor.close()


def test_nothing_listens_beyond_loopback(cluster: Cluster) -> None:
    addresses = {
        c.laddr.ip.removeprefix("::ffff:")
        for process in cluster.processes()
        for c in process.net_connections()
        if c.status == "LISTEN"
    }
    assert addresses == {LOOPBACK}


INTRUDER = """
import sys
from ray._private import services
services.resolve_ip_for_localhost = lambda host: host
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
def test_without_its_token_nobody_is_let_in(
    cluster: Cluster, stated: dict[str, str], tmp_path: Path
) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INTRUDER, cluster.address],
        env={**kept, "RAY_NUM_REDIS_GET_RETRIES": "2", "HOME": str(tmp_path), **stated},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "FW305\n", done.stderr
    assert TOKEN not in done.stderr


def test_the_labels_of_the_nodes_are_listed(executor: RayExecutor) -> None:
    assert sorted(node.devices for node in executor.nodes()) == [("large",), ("small",)]


def test_hardware_nobody_offers_is_refused(executor: RayExecutor) -> None:
    with pytest.raises(BackendMissing, match="large, small") as caught:
        executor.on("medium")
    assert caught.value.code == "FW306"


def test_a_model_runs_on_the_node_it_is_meant_for(executor: RayExecutor, tmp_path: Path) -> None:
    model = write_two_layers(tmp_path / "model.onnx")
    inputs = np.random.default_rng(1).random((3, 2, 16), dtype=np.float32)
    for device in ("small", "large"):
        worker = executor.on(device).open(OnnxRuntime(), model, Settings(threads=1), limits=LIMITS)
        worker.feed({"x": inputs})
        expected = two_layers(inputs)["y"]
        # float32 sums of 16 and 32 products against float64
        np.testing.assert_allclose(worker.outputs()["y"], expected, rtol=1e-4, atol=1e-5)
        assert len(worker.time_block(seconds=0.0, min_runs=5)) == 5
        assert worker.peak_memory_bytes() > 0
        assert worker.facts["node"] == device
        worker.close()


def test_files_travel_and_what_is_written_comes_back(executor: RayExecutor, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("there")
    out = tmp_path / "out"
    out.mkdir()
    made = executor.call(faults.copy_into, LIMITS, tmp_path / "in.txt", out)
    assert made == out / "copy.txt"
    assert made.read_text() == "there, from in.txt"


def test_errors_for_the_user_pass_through(executor: RayExecutor) -> None:
    with pytest.raises(ModelRefused) as caught:
        executor.call(faults.raise_refusal, LIMITS)
    assert (caught.value.code, caught.value.remedy) == ("FW200", "Give another.")


def test_ray_says_nothing_on_stdout(cluster: Cluster) -> None:
    code = (
        "import sys\n"
        "from ray._private import services\n"
        "services.resolve_ip_for_localhost = lambda host: host\n"
        "services.get_node_ip_address = lambda *a: '127.0.0.1'\n"
        "from fitwright.executors.ray import RayExecutor\n"
        "executor = RayExecutor(sys.argv[1])\n"
        "print(len(executor.nodes()))\n"
        "executor.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, cluster.address],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "2\n", done.stderr


DEATHS = """
import json, sys, time
from pathlib import Path
import numpy as np
from fitwright.backends.onnxruntime.runtime import OnnxRuntime
from fitwright.errors import TrialFailed
from fitwright.executors.ray import RayExecutor
from fitwright.ports import ChildLimits
from fitwright.records.plan import Settings
from fitwright.testing import faults
from fitwright.testing.clusters import kill_tree, local_cluster

folder, limits, seen = Path(sys.argv[1]), ChildLimits(wall_s=60.0), {}
with local_cluster(["first", "twin"], ["second", "twin"]) as cluster:
    executor = RayExecutor(cluster.address, device="twin")
    model = folder / "model.onnx"
    worker = executor.open(OnnxRuntime(), model, Settings(threads=1), limits=limits)
    seen["before"] = worker.facts["node"]
    worker.feed({"x": np.ones((1, 1, 16), np.float32)})
    calls = [executor.submit(faults.spin, limits, 8.0, folder / "pid")]
    while not (folder / "pid").exists():
        time.sleep(0.05)
    kill_tree(cluster.nodes[0 if "first" in seen["before"] else 1])
    try:
        worker.time_block(seconds=0.1)
    except TrialFailed as error:
        seen["cause"] = error.cause
    worker.close()
    again = executor.open(OnnxRuntime(), model, Settings(threads=1), limits=limits)
    seen["after"] = again.facts["node"]
    again.close()
    seen["calls"] = [call.result() > 0 for call in calls]
    executor.close()
print(json.dumps(seen))
"""


def test_a_trial_whose_node_dies_fails_as_killed_and_others_go_on_elsewhere(
    tmp_path: Path,
) -> None:
    write_two_layers(tmp_path / "model.onnx")
    (tmp_path / "in use").touch()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DEATHS, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    seen = json.loads(done.stdout or "{}")
    assert seen.get("cause") == "killed", done.stderr
    assert {seen["before"], seen["after"]} == {"first, twin", "second, twin"}
    assert seen["calls"] == [True]  # whichever node it was on
