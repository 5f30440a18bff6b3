"""How a run starts: from what the user named to contract, folder and default tools."""

from __future__ import annotations

import os
import re
import time as clock
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from fitwright.errors import BackendMissing, UsageError
from fitwright.units import parse

if TYPE_CHECKING:
    from fitwright.ports import Console, Executor, Runtime, Tools
    from fitwright.records.contract import Contract
    from fitwright.records.origin import Origin
    from fitwright.records.run import RunFolder
    from fitwright.records.trial import Trial
    from fitwright.records.verdict import Verdict
    from fitwright.store.store import SqlStore

CONTRACT_SUFFIXES = {".yaml", ".yml"}


class Silent:
    """No progress at all."""

    def step(self, text: str) -> None:
        """Ignored."""

    def say(self, text: str) -> None:
        """Ignored."""

    def budget(self, spent_s: float, total_s: float, eta_s: float | None = None) -> None:
        """Ignored."""


def open_target(target: str, *, time: str | None = None) -> tuple[Contract, Path]:
    """The contract named by `target`, or the default one for a model, and its folder.

    Raises:
        ContractError: the contract is wrong.
        UsageError: `time` is no duration.
    """
    from fitwright.analyze.contract import contract_for_model, read_contract

    path = Path(target)
    if path.suffix.lower() in CONTRACT_SUFFIXES:
        contract, folder = read_contract(path)
    else:
        contract, folder = contract_for_model(path), path.parent
    if time is not None:
        budget = contract.budget.model_copy(update={"time_s": duration_s(time)})
        contract = contract.model_copy(update={"budget": budget})
    return contract, folder.resolve()


def duration_s(text: str) -> float:
    """``5m`` -> 300.0 seconds.

    Raises:
        UsageError: it is no duration above zero.
    """
    try:
        seconds = parse(text, "seconds")
    except ValueError as error:
        raise UsageError(f"--time: {error}", code="FW103", remedy="Try --time 5m.") from error
    if seconds <= 0:
        raise UsageError(
            f"--time must be above 0, got {text}", code="FW103", remedy="Try --time 5m."
        )
    return seconds


def new_run(runs: Path, target: str, *, folder: Path, store: str = "") -> tuple[RunFolder, Origin]:
    """A folder that no earlier run uses, ``runs/<name>-<n>``, not created yet; its origin.

    Args:
        folder: where relative paths start.
        store: URL of a database that keeps the trials as well.

    Raises:
        FitwrightError: the database is none, needs a package or does not answer.
    """
    from fitwright.records.origin import Origin
    from fitwright.records.run import RunFolder

    path = Path(target).resolve()
    stem = path.parent.name if path.stem == "contract" else path.stem
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "run"
    taken = {p.name for p in runs.glob(f"{name}-*")} if runs.is_dir() else set()
    number = next(n for n in range(1, len(taken) + 2) if f"{name}-{n}" not in taken)
    place, origin = runs / f"{name}-{number}", Origin(folder=str(folder), target=target)
    if not store:
        return RunFolder(place), origin
    origin = origin.model_copy(update={"stored_as": _name_in_store(place)})
    return RunFolder(place, shared=_shared(store, origin.stored_as)), origin


def existing_run(path: str) -> RunFolder:
    """The run at that path, to be read.

    Raises:
        UsageError: there is no run.
    """
    from fitwright.records.origin import Origin
    from fitwright.records.run import RunFolder

    run = RunFolder(Path(path))
    if not run.has(Origin):
        raise UsageError(
            f"{path} is not a run",
            code="FW101",
            remedy="Give the folder that `fitwright fit` printed, such as runs/digits-1.",
        )
    return run


def resumed_run(path: str, *, store: str = "") -> tuple[RunFolder, Origin]:
    """The run at that path, to be gone on with, and its origin.

    Args:
        store: URL of the database that it shares, or is to share from now on. What the
            folder holds and the database does not is brought there.

    Raises:
        UsageError: there is no run, or its trials are in a database and `store` is empty.
        FitwrightError: the database is none, needs a package or does not answer.
    """
    from fitwright.records.origin import Origin
    from fitwright.records.run import RunFolder

    run = existing_run(path)
    origin = run.read(Origin)
    if not store:
        if origin.stored_as:
            raise UsageError(
                f"the trials of {path} are kept in a database, as '{origin.stored_as}', and it "
                "is not named",
                code="FW161",
                remedy="Give its URL with --store, or in FITWRIGHT_STORE.",
            )
        return run, origin
    name = origin.stored_as or _name_in_store(run.path)
    shared = _shared(store, name)
    shared.adopt(run.trials())
    return RunFolder(run.path, shared=shared), origin.model_copy(update={"stored_as": name})


def _name_in_store(path: Path) -> str:
    """Unlike any other run's, on whatever machine that is."""
    return f"{path.name[:150]}-{uuid4().hex[:12]}"


def _shared(url: str, name: str) -> SqlStore[Trial]:
    """A run's trials in a database, which is asked now: a wrong one is not found out late."""
    from fitwright.records.trial import Trial
    from fitwright.store.open import url_store

    store = url_store(url, run=name, read=Trial.model_validate_json)
    store.adopt(())
    return store


def available_runtimes() -> dict[str, Runtime]:
    """Backends that can run here, in the order they are tried.

    Raises:
        BackendMissing: not a single one.
    """
    from fitwright.backends import RUNTIMES

    found = {n: r for n, r in RUNTIMES.items() if not r.availability().missing}
    if not found:
        raise BackendMissing(
            "no backend is installed, so no model can run",
            code="FW300",
            remedy="Install one: `pip install onnxruntime`, or `pip install fitwright[openvino]`.",
        )
    return found


def cache_folder() -> Path:
    """Where figures of this machine are kept between runs."""
    if stated := os.environ.get("FITWRIGHT_CACHE_DIR"):
        return Path(stated)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fitwright"


def executor_named(name: str) -> Executor:
    """Where trials run: ``local``, ``auto``, ``ray:HOST:PORT`` or ``ray://HOST:PORT``.

    The last three are Ray clusters that run already; ``#LABEL`` behind them is the hardware.

    Raises:
        UsageError: no executor has that name.
        BackendMissing: Ray is not installed, or no cluster answers or fits.
    """
    place, _, device = name.partition("#")
    if name == "local":
        from fitwright.executors.local import LocalExecutor

        return LocalExecutor()
    if place in ("auto", "ray:auto"):
        address = "auto"
    elif re.fullmatch(r"ray:(//)?[^/:\s]+:\d+", place):
        address = place if place.startswith("ray://") else place.removeprefix("ray:")
    else:
        raise UsageError(
            f"--executor: '{name}' is neither local nor a Ray cluster",
            code="FW154",
            remedy="Try local, auto, ray:HOST:6379 or ray://HOST:10001, with #LABEL for hardware.",
        )
    from fitwright.executors.ray import RayExecutor

    return RayExecutor(address, device=device)


def local_tools(console: Console, *, executor: str = "local") -> Tools:
    """Tools over this machine, with trials where `executor` says.

    Energy is read on this machine, so on a cluster there is no meter.
    """
    from fitwright.backends.probes import PROBES
    from fitwright.backends.recipes import RECIPES
    from fitwright.bench.energy import energy_meter
    from fitwright.ports import Tools

    return Tools(
        runtimes=available_runtimes(),
        transforms=RECIPES,
        probes=PROBES,
        executor=executor_named(executor),
        meter=energy_meter() if executor == "local" else None,
        console=console,
        cache=cache_folder(),
        clock=clock.monotonic,
    )


def fit(
    target: str | Path,
    *,
    runs: str | Path = "runs",
    time: str | None = None,
    store: str = "",
) -> Verdict:
    """Fit a model to this machine under a contract; the whole of `fitwright fit`, quietly.

    Args:
        target: a contract (YAML) or a model file.
        runs: where the run's folder is made.
        time: wall-clock budget such as ``"5m"``; overrides the contract's.
        store: URL of a database that keeps the trials as well.

    Raises:
        FitwrightError: the contract, the data or the model cannot be used.
    """
    from fitwright.flow import fit as closed_loop

    contract, folder = open_target(str(target), time=time)
    run, origin = new_run(Path(runs), str(target), folder=folder, store=store)
    return closed_loop(
        contract,
        origin=origin,
        tools=local_tools(Silent()),
        run=run,
        command=f"fitwright fit {target}",
    )
