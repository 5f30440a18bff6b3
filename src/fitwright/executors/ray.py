"""Children on the nodes of a Ray cluster that runs already.

A child is a *local* child of the node it runs on: an actor opens it there, so its limits and the
causes of its failures are those of `local`. Files travel by content and stay on the node.

A node states the hardware it offers as a custom resource ``fitwright_device:LABEL`` of amount 1.
One driver takes it for as long as it lives, so no two measure on a node at once. A trial whose
node dies fails with the cause ``killed``; only what has given no figure yet (opening a child,
calling a function) is tried again, once, on another node: figures of two machines never mix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any, cast, final

from fitwright.errors import TrialFailed
from fitwright.executors import shipping
from fitwright.executors.background import Background
from fitwright.executors.cluster import Cluster, Node, Post
from fitwright.ports import (
    Array,
    ChildLimits,
    LoadBlock,
    LoadGenLoad,
    P,
    Runtime,
    T,
    Tensors,
    Worker,
)
from fitwright.records.plan import Settings

GRACE_S = 90.0  # for Ray to notice that a node is gone, which takes half a minute
CLOSE_S = 20.0


@final
class RayExecutor:
    """Runs every trial in a fresh process of a node; see `ports.Executor`.

    Args:
        address: ``auto`` (the cluster of this machine), ``HOST:PORT`` or ``ray://HOST:PORT``.
        device: label of the hardware the trials are for; any node unless stated.
        workers: how many submitted functions run at once.

    Raises:
        BackendMissing: Ray is not installed, no cluster answers, it refuses the driver, or
            it has no such hardware.
    """

    def __init__(self, address: str = "auto", *, device: str = "", workers: int = 1) -> None:
        self._cluster = Cluster(address)
        self._device = device
        self._background = Background(workers)
        if device:
            self._cluster.check_device(device)

    def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive, and the hardware they offer."""
        return self._cluster.nodes()

    def on(self, device: str) -> RayExecutor:
        """The same cluster, for trials that are meant for that hardware.

        Raises:
            BackendMissing: no node offers it.
        """
        self._cluster.check_device(device)
        other = copy(self)
        other._device = device
        return other

    def open(
        self, runtime: Runtime, model: Path, settings: Settings, *, limits: ChildLimits
    ) -> Worker:
        """Start a fresh child on a node and compile in it. Raises TrialFailed."""
        packed = shipping.pack(model.absolute())
        doing = f"loading {model.name} on {runtime.name}"

        def opened(post: Post) -> RayWorker:
            post.send(packed.sources, doing=doing)
            reply = post.ask(
                doing, 2 * limits.wall_s + GRACE_S, "open",
                runtime, packed.sets[0], settings, limits,
            )  # fmt: skip
            return RayWorker(post, reply, subject=f"{model.name} on {runtime.name}", limits=limits)

        return self._retried(opened)

    def call(
        self, function: Callable[P, T], limits: ChildLimits, /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one picklable function in a fresh child of a node.

        Files among its arguments travel there; what it writes into an empty folder among
        them comes back.

        Raises:
            TrialFailed: with its cause; or the FitwrightError that the function raised.
        """
        packed = shipping.pack((function, args, kwargs))
        doing = getattr(function, "__name__", type(function).__name__)

        def called(post: Post) -> T:
            post.send(packed.sources, doing=doing)
            body, written = post.ask(
                doing, 2 * limits.wall_s + GRACE_S, "call",
                packed.body, packed.sets, len(packed.folders), limits,
            )  # fmt: skip
            for folder, files in zip(packed.folders, written, strict=True):
                shipping.write_contents(folder, files)
            result = shipping.unpack(body, mains=packed.mains, folders=packed.folders)
            return cast("T", result)

        return self._retried(called)

    def submit(
        self, function: Callable[P, T], limits: ChildLimits, /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Like `call`, in the background; raises when asked for the result."""
        return self._background.submit(lambda: self.call(function, limits, *args, **kwargs))

    def close(self) -> None:
        """End every child and give the nodes back."""
        self._cluster.close()

    def _retried(self, work: Callable[[Post], T]) -> T:
        """On the node with the fewest children; once more on another one when it dies."""
        post = self._cluster.post(self._device)
        try:
            return work(post)
        except TrialFailed:
            if not post.is_gone or not self._cluster.has_another(post.node, self._device):
                raise
        return work(self._cluster.post(self._device, avoid=post.node.id))


@final
class RayWorker:
    """A child of a node; see `ports.Worker`."""

    def __init__(
        self,
        post: Post,
        opened: tuple[int, float, Mapping[str, str]],
        *,
        subject: str,
        limits: ChildLimits,
    ) -> None:
        self._post = post
        self._number, self._load_s, facts = opened
        self._facts = {**facts, "node": post.node.label}
        self._subject = subject
        self._wait_s = limits.wall_s + GRACE_S
        post.num_children += 1
        self._is_open = True

    @property
    def load_s(self) -> float:
        """Time to import the backend and compile the model, seconds."""
        return self._load_s

    @property
    def facts(self) -> Mapping[str, str]:
        """What really happened, and on which node."""
        return self._facts

    def feed(self, inputs: Tensors) -> None:
        """Hand over queries; shape (queries, *input shape)."""
        self._ask("feeding", "feed", self._post.put(dict(inputs)))

    def outputs(self) -> dict[str, Array]:
        """Run every query once, in order; shape (queries, *output shape)."""
        return cast("dict[str, Array]", self._ask("running", "outputs"))

    def time_block(self, *, seconds: float, min_runs: int = 1) -> Sequence[float]:
        """Latencies, seconds, taken inside the child."""
        found = self._ask("timing", "time_block", seconds=seconds, min_runs=min_runs)
        return cast("Sequence[float]", found)

    def load_block(
        self, *, seconds: float, concurrency: int, arrivals_s: Sequence[float] = ()
    ) -> LoadBlock:
        """Latencies under load and the elapsed time, seconds."""
        block = self._ask(
            "loading", "load_block",
            seconds=seconds, concurrency=concurrency, arrivals_s=tuple(arrivals_s),
        )  # fmt: skip
        return cast("LoadBlock", block)

    def burst_block(self, *, seconds: float, size: int) -> LoadBlock:
        """Latencies of bursts and the elapsed time, seconds."""
        return cast("LoadBlock", self._ask("loading", "burst_block", seconds=seconds, size=size))

    def loadgen_block(self, load: LoadGenLoad) -> LoadBlock:
        """Latencies under the load of MLCommons LoadGen and the elapsed time, seconds."""
        return cast("LoadBlock", self._ask("loading", "loadgen_block", load))

    def peak_memory_bytes(self) -> int:
        """Peak resident memory of the child so far."""
        return int(self._ask("watching", "peak_memory_bytes"))

    def busy_s(self) -> float:
        """CPU time of the child so far, seconds."""
        return float(self._ask("watching", "busy_s"))

    def close(self) -> None:
        """End the child; never raises. That of a dead node ended with it."""
        if not self._is_open:
            return
        self._is_open = False
        self._post.num_children -= 1
        with suppress(TrialFailed):
            self._post.ask(f"closing {self._subject}", CLOSE_S, "close", self._number)

    def _ask(self, verb: str, method: str, *args: object, **kwargs: object) -> Any:
        doing = f"{verb} {self._subject}"
        return self._post.ask(doing, self._wait_s, "ask", self._number, method, *args, **kwargs)
