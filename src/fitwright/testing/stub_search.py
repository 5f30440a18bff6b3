"""A search in which nothing is real but the loop: every measurement is a formula.

The closed loop, the store, the records, the variants, the report and the bundle are the
real ones; models are short texts, children are fakes, and time passes on a clock of their
own. A trial takes milliseconds, so a test can kill a search at hundreds of moments, and a
benchmark can see what the search itself costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np

from fitwright import flow
from fitwright.adapt.adapt import recipe_key
from fitwright.analyze.analyze import Analyzed
from fitwright.analyze.samples import Split
from fitwright.flow.steps import Walk
from fitwright.ports import (
    Availability,
    Console,
    Samples,
    Session,
    Tensors,
    Tools,
    TransformRequest,
    TransformResult,
)
from fitwright.records.agenda import Agenda, Body
from fitwright.records.contract import Budget, Contract
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.model import ModelSummary, TensorInfo
from fitwright.records.need import Analysis, Need
from fitwright.records.origin import Origin
from fitwright.records.plan import BackendPlan, MemoryPlan, Parallelism, Plan, Settings
from fitwright.records.recipe import FixShapes, Fp16Weights, Int8Static, Recipe, title
from fitwright.records.run import RunFolder, storage_error
from fitwright.records.selection import Selection
from fitwright.records.verdict import Verdict
from fitwright.start import Silent
from fitwright.testing.fakes import FakeClock, FakeExecutor, FakeWorker

BACKEND = "onnxruntime"
BYTES = 4096  # of every model file
REWRITES = ((FixShapes(),),)
BODIES: tuple[tuple[Recipe, ...], ...] = ((Int8Static(),), (Fp16Weights(),))
INPUTS = {"x": np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 1, 2)}

Speed = Callable[[str, Settings], float]


def plain_speed(chain: str, settings: Settings) -> float:
    """int8 pays most, then fewer threads; every other setting costs a little."""
    by_chain = {"original": 1.0, "fix_shapes": 1.03, "fix_shapes + int8_static/onnxruntime": 2.0}
    threads = settings.threads or 8
    costs = 1.0 + 0.04 * (settings.streams or 0) + 0.05 * (settings.spinning is not None)
    return by_chain.get(chain, 0.9) * (1.0 + 0.5 / threads) / costs


@dataclass(frozen=True)
class StubRuntime:
    """A backend in name only; its children are fakes."""

    name: str = BACKEND

    def availability(self) -> Availability:
        """Always there."""
        return Availability(version="0")

    def formats(self) -> tuple[str, ...]:
        """What the stub passes write."""
        return ("onnx",)

    def load(self, model: Path, settings: Settings) -> Session:
        """Never called: the executor does not start children."""
        raise NotImplementedError


@dataclass(frozen=True)
class StubTransform:
    """Writes the name of the chain so far into a new file."""

    requires: str = "nothing"
    ensures: str = "a file that tells its chain"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Applies everywhere."""
        del recipe, summary, device
        return None

    def __call__(self, request: TransformRequest) -> TransformResult:
        """The chain of the file before, and one recipe more."""
        before = chain_of(request.model)
        now = title(request.recipe)
        made = request.folder / "model.onnx"
        write_stub_model(made, now if before == "original" else f"{before} + {now}")
        return TransformResult(file=made, backends=(BACKEND,))


def write_stub_model(path: Path, chain: str) -> Path:
    """A file of `BYTES` that tells which recipes led to it.

    Raises:
        StorageError: as a child of a real executor does when the disk is full.
    """
    try:
        path.write_bytes(chain.encode().ljust(BYTES))
    except OSError as error:
        raise storage_error(error, path.parent, BYTES) from error
    return path


def chain_of(model: Path) -> str:
    """What `write_stub_model` wrote."""
    return model.read_bytes().decode().strip()


@dataclass(kw_only=True)
class StubSearch:
    """One search over formulas.

    Attributes:
        folder: for the model and the machine's cache.
        settings: of the plan; the first is the default.
        budget_s: on the fake clock.
        latency_s: of the original on its defaults.
        memory_bytes: of a child, of 1 GiB in all: a quarter, so that no two fit into a cohort.
        opened: called with the candidate's file and settings whenever a child is opened.
    """

    folder: Path
    speed: Speed = plain_speed
    settings: tuple[Settings, ...] = (
        Settings(),
        *(Settings(threads=n) for n in (1, 2, 4)),
        *(Settings(streams=n) for n in (1, 2)),
        Settings(spinning=False),
    )
    budget_s: float = 600.0
    latency_s: float = 0.050
    memory_bytes: int = 1 << 28
    opened: Callable[[Path, Settings], None] = lambda *_: None
    clock: FakeClock = field(default_factory=FakeClock)

    def fit(self, run: RunFolder, *, console: Console | None = None) -> Verdict:
        """The real closed loop from where the run stands, over `walk` of this stub."""
        model = self.folder / "model.onnx"
        if not model.exists():
            write_stub_model(model, "original")
        contract = Contract(model=str(model), budget=Budget(time=self.budget_s, stop="exhausted"))
        with patch.object(flow, "walk", lambda *_, **__: self.walk(contract)):
            return flow.fit(
                contract,
                origin=Origin(folder=str(self.folder), target=str(model)),
                tools=self.tools(console or Silent()),
                run=run,
                command="fitwright fit model.onnx",
            )

    def tools(self, console: Console) -> Tools:
        """Fakes of everything outside."""
        recipes = [r for chain in (*REWRITES, *BODIES) for r in chain]
        return Tools(
            runtimes={BACKEND: StubRuntime()},
            transforms={recipe_key(r): StubTransform() for r in recipes},
            executor=FakeExecutor(worker=self._worker),
            meter=None,
            console=console,
            cache=self.folder,
            clock=self.clock,
        )

    def walk(self, contract: Contract) -> Walk:
        """What steps 1 to 3 would find."""
        samples = Samples(inputs=INPUTS, labels=None, origin="synthetic")
        analysis = Analysis(need=_need(contract), summary=_summary(self.folder / "model.onnx"))
        bodies = tuple(Body(recipes=b, backends=frozenset({BACKEND})) for b in BODIES)
        return Walk(
            contract=contract,
            analyzed=Analyzed(
                analysis=analysis,
                model=self.folder / "model.onnx",
                split=Split(calibration=samples, evaluation=samples),
                reference=INPUTS,
                metric="agreement",
            ),
            device=stub_device(),
            selection=Selection(choices=(), refused=()),
            plan=_plan(self.settings),
            agenda=Agenda(rewrites=REWRITES, bodies=bodies),
        )

    def _worker(self, runtime: object, model: Path, settings: Settings) -> FakeWorker:
        del runtime
        self.opened(model, settings)
        latency_s = self.latency_s / self.speed(chain_of(model), settings)
        facts: Mapping[str, str] = {"device": "CPU", "precision": "float32"}
        return FakeWorker(
            latency_s=lambda _: latency_s,
            answer=_same,
            clock=self.clock,
            facts=facts,
            memory_bytes=self.memory_bytes,
        )


def _same(inputs: Tensors) -> Tensors:
    return inputs


def stub_device() -> Device:
    """A machine of 8 cores and 1 GiB; what its peaks are nobody asks."""
    unknown = Figure.unavailable("a stub")
    return Device(
        id="local",
        kind="cpu",
        name="stub",
        architecture="x86_64",
        instruction_sets=(),
        num_cores=8,
        num_threads=8,
        caches=(),
        memory_bytes=1 << 30,
        peaks={},
        bandwidth=unknown,
        idle_power=unknown,
        loaded_power=unknown,
        software={BACKEND: "0"},
        backends=(BACKEND,),
    )


def _need(contract: Contract) -> Need:
    return Need(
        limits=(),
        agreement=contract.agreement,
        traffic=contract.traffic,
        budget=contract.budget,
        objective="latency_p50",
        percentile=50,
        metric="agreement",
        data_origin="synthetic",
        has_labels=False,
        check_top1=False,
        num_calibration=8,
        num_evaluation=8,
    )


def _summary(model: Path) -> ModelSummary:
    tensor = TensorInfo(name="x", dtype="float32", shape=(1, 2))
    return ModelSummary(
        path=str(model),
        sha256=hashlib.sha256(model.read_bytes()).hexdigest(),
        size_bytes=BYTES,
        ir_version=8,
        opsets={"": 17},
        inputs=(tensor,),
        outputs=(tensor,),
        bindings={},
        operators=(),
        uncounted=(),
        lifetimes=(),
        num_parameters=0,
        weight_bytes=0,
        peak_activation_bytes=0,
    )


def _plan(settings: tuple[Settings, ...]) -> Plan:
    return Plan(
        device_id="local",
        placements=(),
        memory=MemoryPlan(
            arena_bytes=0, lower_bound_bytes=0, method="none", alignment_bytes=64, buffers=()
        ),
        parallelism=Parallelism(),
        backends=(BackendPlan(backend=BACKEND, settings=settings),),
    )
