"""The only place that speaks to Ray: connects, finds nodes, and keeps one actor on each."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

from fitwright.errors import BackendMissing, FitwrightError, TrialFailed, one_line
from fitwright.executors.background import Background

if TYPE_CHECKING:
    from types import ModuleType

DEVICE = "fitwright_device:"
PROBE_S = 5.0
START_S = 60.0  # for a node to start the actor's process, which imports Fitwright
SEND_S = 600.0  # for one file
CLIENT_S = 60.0  # for Ray Client's server to start this driver's process there; it may never
TOKEN_S = 20.0  # for that server to turn a driver away, which takes milliseconds when it is idle
CLIENT = "ray://"
# Ray reads its environment when it is imported. What the user states, stands.
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",  # whoever reaches a cluster without one can run code on it
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "error",
    "RAY_NUM_REDIS_GET_RETRIES": "5",  # seconds to keep knocking at a head that refuses
}


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine of the cluster.

    Attributes:
        id: Ray's.
        devices: labels of the hardware it offers.
        num_cores: that Ray counts there.
    """

    id: str
    devices: tuple[str, ...]
    num_cores: float

    @property
    def label(self) -> str:
        """How it is called in facts and messages."""
        return ", ".join(self.devices) or f"node {self.id[:8]}"


def ray_module() -> ModuleType:
    """Ray, told to ask for a token and to keep quiet.

    Raises:
        BackendMissing: it is not installed.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise _ray_missing("the package 'ray' is not installed") from error
    return ray


def _keep_off_stdout(ray: Any) -> None:
    """Ray tells on stdout that a node died, whatever it is told; stdout carries our answer.

    Without `print_to_stdstream`, which is no public name, nothing is changed.
    """
    worker = ray._private.worker
    told = getattr(worker, "print_to_stdstream", None)
    if told is None or getattr(told, "is_ours", False):
        return

    def on_stderr(data: dict[str, Any], ignore_prefix: bool) -> None:
        told({**data, "is_err": True}, ignore_prefix)

    on_stderr.is_ours = True  # type: ignore[attr-defined]
    worker.print_to_stdstream = on_stderr


def _ray_missing(why: str) -> BackendMissing:
    return BackendMissing(
        f"trials cannot run on a Ray cluster: {why}",
        code="FW303",
        remedy='Run `pip install "fitwright[ray]"`; for ray:// addresses also '
        '`pip install "ray[client]"`.',
    )


@final
class Cluster:
    """A connection to a cluster, and this driver's actors there."""

    def __init__(self, address: str) -> None:
        self._ray: Any = ray_module()
        self._lock = threading.Lock()
        self._posts: dict[tuple[str, str], Post] = {}
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            _probe(address)
            self._connect(address)

    def _connect(self, address: str) -> None:
        quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
        _keep_off_stdout(self._ray)
        connect = partial(self._ray.init, address=address, namespace="fitwright", **quiet)
        try:
            if address.startswith(CLIENT):
                Background(1).submit(connect).result(CLIENT_S)
            else:
                connect()
        except ImportError as error:  # the client of ray:// needs more packages
            raise _ray_missing(one_line(str(error))) from error
        except (OSError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            raise _unreachable(address, error) from error

    def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive and compute something, in a stable order."""
        alive = [n for n in self._ray.nodes() if n["Alive"]]
        found = [_node(n["NodeID"], n["Resources"]) for n in alive]
        return tuple(sorted((n for n in found if n.num_cores or n.devices), key=lambda n: n.id))

    def check_device(self, device: str) -> None:
        """Raises:
        BackendMissing: no node offers it.
        """
        if not any(device in node.devices for node in self.nodes()):
            raise self._nowhere(device)

    def has_another(self, node: Node, device: str) -> bool:
        """Whether a second node offers the same."""
        return any(n.id != node.id and (not device or device in n.devices) for n in self.nodes())

    def post(self, device: str, *, avoid: str = "") -> Post:
        """The actor with the fewest children among the nodes for that hardware.

        Args:
            avoid: a node that has died, though Ray may not know yet.

        Raises:
            BackendMissing: there is no such node, or others have taken them all.
        """
        with self._lock:
            alive = [n for n in self.nodes() if n.id != avoid]
            fitting = [n for n in alive if not device or device in n.devices]
            ready = [self._found(node, device) for node in fitting]
            posts = [post for post in ready if post is not None]
        if not posts:
            raise self._nowhere(device)
        return min(posts, key=lambda post: post.num_children)

    def close(self) -> None:
        """End this driver's actors, and the connection if it is ours."""
        with self._lock:
            posts, self._posts = list(self._posts.values()), {}
        for post in posts:
            post.end()
        if self._is_ours:
            self._ray.shutdown()

    def _found(self, node: Node, device: str) -> Post | None:
        """The actor on that node, started if there is none; None where it does not start."""
        key = (node.id, "" if not node.devices else device or node.devices[0])
        post = self._posts.get(key)
        if post is None or post.is_gone:
            post = Post(self._ray, node, device=key[1])
            if not post.stands():
                post.end()
                return None
            self._posts[key] = post
        return post

    def _nowhere(self, device: str) -> BackendMissing:
        offered = sorted({d for node in self.nodes() for d in node.devices})
        wanted = f"for '{device}' " if device else ""
        return BackendMissing(
            f"no node {wanted}is free; the cluster has {len(self.nodes())} node(s), "
            f"labelled {', '.join(offered) or 'nothing'}",
            code="FW306",
            remedy=f"Start one with --resources '{{\"{DEVICE}{device or 'LABEL'}\": 1}}', or wait "
            "for the run that has taken it.",
        )


def _node(name: str, resources: Mapping[str, float]) -> Node:
    devices = (r.removeprefix(DEVICE) for r in resources if r.startswith(DEVICE))
    return Node(id=name, devices=tuple(sorted(devices)), num_cores=resources.get("CPU", 0.0))


def _probe(address: str) -> None:
    """Whether anything listens there: Ray itself would try for minutes.

    Raises:
        BackendMissing: nothing does.
    """
    host, colon, port = address.removeprefix(CLIENT).rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE_S).close()
    except (OSError, ValueError) as error:
        raise _unreachable(address, error) from error


def _asks_for_a_token(address: str) -> bool:
    """Whether that Ray Client server turns away who shows none.

    Ray Client itself says of a wrong token no more than that the time was up.
    """
    try:
        import grpc
    except ImportError:
        return False
    with grpc.insecure_channel(address.removeprefix(CLIENT)) as channel:
        try:
            channel.unary_unary("/ray.rpc.RayletDriver/ClusterInfo")(b"", timeout=TOKEN_S)
        except grpc.RpcError as error:
            return bool(error.code() is grpc.StatusCode.UNAUTHENTICATED)
    return False


def _unreachable(address: str, error: Exception) -> BackendMissing:
    """No cluster there, or one that does not let us in."""
    said = f"{error} {error.__cause__ or ''}"
    refused = "uthentic" in said or "InvalidAuthToken" in said
    timed_out = isinstance(error, ConnectionError) and address.startswith(CLIENT)
    if refused or (timed_out and _asks_for_a_token(address)):
        return BackendMissing(
            f"the Ray cluster at {address} asks for a token, and the one given here, if any, is "
            "not its own",
            code="FW305",
            remedy="Copy the cluster's token to ~/.ray/auth_token, or set RAY_AUTH_TOKEN_PATH.",
        )
    return BackendMissing(
        f"no Ray cluster answers at {address}: "
        f"{one_line(str(error), length=160) or f'nothing within {CLIENT_S:g} s'}",
        code="FW304",
        remedy="Check the address; start one with `ray start --head`.",
    )


@final
class Post:
    """This driver's actor on one node.

    Attributes:
        num_children: open ones.
        is_gone: the actor or its node has ended.
    """

    def __init__(self, ray: Any, node: Node, *, device: str) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from fitwright.executors.node import Host

        self.node = node
        self.num_children = 0
        self.is_gone = False
        self._ray = ray
        self._sent: set[str] = set()
        self._sending = threading.Lock()
        self._actor = (
            ray.remote(Host)
            .options(
                num_cpus=0,
                max_concurrency=32,
                resources={DEVICE + device: 1} if device else {},
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            )
            .remote()
        )

    def stands(self) -> bool:
        """Whether the actor runs; not where another driver has the node.

        Raises:
            BackendMissing: the node has another version of Fitwright.
        """
        try:
            found = self._ray.get(self._actor.fitwright.remote(), timeout=START_S)
        except self._ray.exceptions.RayError:
            return False
        if found != version("fitwright"):
            raise BackendMissing(
                f"{self.node.label} has Fitwright {found}, this driver {version('fitwright')}",
                code="FW306",
                remedy="Install the same version on every node.",
            )
        return True

    def put(self, value: object) -> object:
        """A reference to a copy in the cluster's memory."""
        return self._ray.put(value)

    def send(self, sources: Mapping[str, Path], *, doing: str) -> None:
        """Bring the files there that the node does not have. Raises TrialFailed."""
        with self._sending:
            new = [digest for digest in sources if digest not in self._sent]
            if not new:
                return
            for digest in self._get(self._actor.missing.remote(new), doing, SEND_S):
                content = self._ray.put(sources[digest].read_bytes())
                self._get(self._actor.store.remote(digest, content), doing, SEND_S)
            self._sent.update(new)

    def ask(self, doing: str, wait_s: float, method: str, *args: object, **kwargs: object) -> Any:
        """One request to the actor.

        Raises:
            TrialFailed: with its cause; or the FitwrightError that came back.
        """
        reply = self._get(getattr(self._actor, method).remote(*args, **kwargs), doing, wait_s)
        if reply is None:
            return None
        status, value = reply
        if status == "error":
            raise cast("FitwrightError", value)
        return value

    def end(self) -> None:
        """End its children and the actor; never raises."""
        with suppress(self._ray.exceptions.RayError):
            if not self.is_gone:
                self._ray.get(self._actor.end.remote(), timeout=PROBE_S)
            self._ray.kill(self._actor)

    def _get(self, reference: Any, doing: str, wait_s: float) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference, timeout=wait_s)
        except errors.GetTimeoutError as error:
            detail = f"{self.node.label} does not answer"
            raise TrialFailed(f"{doing}: {detail}", cause="timeout", detail=detail) from error
        except errors.RayTaskError as error:
            raise TrialFailed.by(error.cause or error, doing=doing) from error
        except errors.RayError as error:
            self.is_gone = True
            detail = f"{self.node.label} is gone: {one_line(str(error), length=120)}"
            raise TrialFailed(f"{doing}: {detail}", cause="killed", detail=detail) from error
