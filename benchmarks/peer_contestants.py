"""Makes the contestants of one model: Fitwright's artefact, and each peer by its own tool.

What a peer's tool makes is kept in the model's folder with the time that it took, and taken
from there as long as the model, the samples and the command are the same; after a change of
versions in an environment, remove the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from peer_builds import PEERS
from peer_compare import Child, Contestant, External, NotRun
from peer_external import ExternalWorker, PeerFailed
from peer_inputs import TRAINED, TRANSFORMERS, calibration, held_out, model_path

from fitwright.records.plan import Settings

HERE = Path(__file__).parent
ARTEFACT, ORIGINAL, OLIVE = "Fitwright", "ONNX Runtime, defaults", "Olive, TPE search"
TORCH: Mapping[str, str] = {
    "torch, eager": "float32",
    "torch, eager bf16": "bfloat16",
    "torch.compile": "compile",
    "torch.compile bf16": "compile-bfloat16",
}
ONNX_PEERS = (*PEERS, OLIVE)
PEER_NAMES = (*ONNX_PEERS, *TORCH)
BUILD_S = 600.0  # a tool that takes longer is not waited for
# of the samples that every tool gets; agreement is judged on 16, accuracy on what is labelled
CALIBRATION_SHARE = {"random": 0.75, "labelled": 0.5}
CONTRACT = """\
model: {model}
data: {{source: {samples}, calibration_share: {share}}}
traffic: {{batch: {batch}}}
budget: {{time: {time}, stop: exhausted, learn: false}}
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model at one batch.

    Attributes:
        models: folder of the ONNX files, weights and data.
        folder: everything that is made for this case goes here.
    """

    name: str
    batch: int
    models: Path
    folder: Path

    @property
    def label(self) -> str:
        """``resnet50-b8``."""
        return f"{self.name}-b{self.batch}"

    @property
    def model(self) -> Path:
        """The ONNX file that every tool gets."""
        return model_path(self.name, self.models, batch=self.batch)

    @property
    def samples(self) -> Path:
        """What every tool may look at, with labels where there are any."""
        return self.folder / "samples.npz"

    @property
    def calibration(self) -> Path:
        """The inputs of those samples."""
        return self.folder / "calibration.npz"

    @property
    def queries(self) -> Path:
        """The held-out inputs, for a peer that compiles for their shapes."""
        return self.folder / "queries.npz"


@dataclass(frozen=True, kw_only=True)
class Environments:
    """The Pythons of the peers' environments; None where there is none."""

    torch: Path | None
    olive: Path | None


def prepared(case: Case) -> Case:
    """The same case with its samples written."""
    case.folder.mkdir(parents=True, exist_ok=True)
    samples = calibration(case.name, case.models, batch=case.batch)
    inputs = {name: array for name, array in samples.items() if name != "labels"}
    queries = held_out(case.name, case.models, batch=case.batch).inputs
    for file, arrays in (
        (case.samples, samples),
        (case.calibration, inputs),
        (case.queries, queries),
    ):
        np.savez(file, **arrays)  # type: ignore[arg-type, unused-ignore]
    return case


def fit(case: Case, *, budget: str) -> Contestant:
    """Fit without limits: the fastest artefact that agrees with the original.

    The contract names the samples that the peers calibrate on; Fitwright sets one part of
    them aside to calibrate and judges agreement on the rest. Also for the trained models: a
    drop of accuracy by 0.01 cannot be ruled out from so few labelled samples (it takes about
    800), and an artefact that may not be worse could only be the original.
    """
    contract = case.folder / f"{case.label}.yaml"
    text = CONTRACT.format(
        model=case.model,
        samples=case.samples,
        share=CALIBRATION_SHARE["labelled" if case.name in TRAINED else "random"],
        batch=case.batch,
        time=budget,
    )
    contract.write_text(text)
    command = [str(Path(sys.executable).with_name("fitwright")), "fit", str(contract)]
    start = time.monotonic()
    done = subprocess.run(
        [*command, "--json", "--runs", str(case.folder / "runs")],
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.monotonic() - start
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return artefact(Path(json.loads(done.stdout)["run"]), made_s=seconds)


def artefact(run: Path, *, made_s: float) -> Contestant:
    """What the run's bundle ships, with the settings of its manifest."""
    bundle = run / "bundle"
    manifest = json.loads((bundle / "manifest.json").read_text())
    file = bundle / manifest["model"]
    settings = Settings.model_validate(manifest["settings"])
    return Contestant(
        name=ARTEFACT,
        what=manifest["candidate"],
        given="onnx",
        runs=Child(backend=manifest["backend"], file=file, settings=settings),
        made_s=made_s,
        size_bytes=sum(f.stat().st_size for f in file.parent.rglob("*") if f.is_file()),
    )


def peer(name: str, case: Case, *, environments: Environments, limit_s: int) -> Contestant | NotRun:
    """One peer as its own tool makes it, or why there is none."""
    if name in PEERS:
        return from_onnx(name, case)
    if name == OLIVE:
        return from_olive(case, python=environments.olive, limit_s=limit_s)
    return from_torch(name, case, python=environments.torch)


def from_onnx(name: str, case: Case) -> Contestant | NotRun:
    """Built in a process of its own by `peer_builds.py`, run by one of Fitwright's backends."""
    target = case.folder / short(name)
    script = str(HERE / "peer_builds.py")
    command = [sys.executable, script, name, str(case.model), str(case.calibration), str(target)]
    answer = kept(target, case, command, lambda: told(command, name=name))
    if isinstance(answer, NotRun):
        return answer
    file = Path(answer["file"])
    return Contestant(
        name=name,
        what="built with its tool's defaults",
        given="onnx",
        runs=Child(backend=answer["backend"], file=file, settings=Settings()),
        made_s=answer["seconds"],
        size_bytes=size_bytes(file),
    )


def from_olive(case: Case, *, python: Path | None, limit_s: int) -> Contestant | NotRun:
    """Olive's search over its passes, and what it found under its own Python."""
    if python is None:
        return NotRun(name=OLIVE, reason="no environment with Olive; give --olive-python")
    target = case.folder / short(OLIVE)
    command = [str(python), str(HERE / "peer_olive.py")]
    command += [str(case.model), str(case.calibration), str(target)]
    if known := TRANSFORMERS.get(case.name):
        command += ["--kind", known.kind, "--heads", str(known.heads), "--width", str(known.width)]
    command += ["--batch", str(case.batch), "--limit", str(limit_s)]
    answer = kept(target, case, command, lambda: told(command, name=OLIVE))
    if isinstance(answer, NotRun):
        return answer
    worker = str(HERE / "peer_olive_worker.py")
    return Contestant(
        name=OLIVE,
        what=f"the best of {answer['trials']} measured points; {json.dumps(answer['options'])}",
        given="onnx",
        runs=External(
            command=(str(python), worker, answer["file"], json.dumps(answer["options"])),
            folder=target,
            environment={},
        ),
        made_s=answer["seconds"],
        size_bytes=size_bytes(Path(answer["file"])),
    )


def from_torch(name: str, case: Case, *, python: Path | None) -> Contestant | NotRun:
    """The torch module itself; compiling is timed once, from an empty cache."""
    if python is None:
        return NotRun(name=name, reason="no environment with torch; give --torch-python")
    way, target = TORCH[name], case.folder / short(name)
    script = str(HERE / "peer_torch_worker.py")
    command = (str(python), script, case.name, way, str(case.models), str(case.queries))
    cache = target / "inductor"
    runs = External(
        command=command,
        folder=target,
        environment={"TORCHINDUCTOR_CACHE_DIR": str(cache), "HF_HUB_OFFLINE": "1"},
    )
    answer = kept(target, case, command, lambda: loaded_once(runs, name=name))
    if isinstance(answer, NotRun):
        return answer
    weights_bytes = (case.models / f"{case.name}.pt").stat().st_size
    return Contestant(
        name=name,
        what=f"the torch module, {way}",
        given="torch",
        runs=runs,
        made_s=answer["seconds"] if way.startswith("compile") else 0.0,
        size_bytes=weights_bytes // 2 if "bfloat16" in way else weights_bytes,
    )


def loaded_once(runs: External, *, name: str) -> dict[str, Any] | NotRun:
    """How long the process takes to load and, where asked, to compile."""
    try:
        worker = ExternalWorker(runs.command, folder=runs.folder, environment=runs.environment)
    except PeerFailed as error:
        return NotRun(name=name, reason=str(error).split("\n")[0])
    worker.close()
    return {"seconds": round(worker.load_s, 1)}


def told(command: list[str], *, name: str) -> dict[str, Any] | NotRun:
    """The last line of what a tool's script prints, as JSON."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S)
    except subprocess.TimeoutExpired:
        return NotRun(name=name, reason=f"not done after {BUILD_S:g} s")
    if done.returncode != 0:
        words = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return NotRun(name=name, reason=words[-1] if words else f"ended with {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def kept(
    target: Path,
    case: Case,
    command: Sequence[str],
    make: Callable[[], dict[str, Any] | NotRun],
) -> dict[str, Any] | NotRun:
    """What this command said about this very model and these samples, or what it says now."""
    target.mkdir(parents=True, exist_ok=True)
    note, key = target / "made.json", [digest(case.model, case.calibration), *command]
    if note.is_file():
        known: dict[str, Any] = json.loads(note.read_text())
        if known["of"] == key:
            return known
    made = make()
    if not isinstance(made, NotRun):
        note.write_text(json.dumps({**made, "of": key}, indent=2) + "\n")
    return made


def digest(*files: Path) -> str:
    """Of the files' contents."""
    found = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()


def size_bytes(file: Path) -> int:
    """Of an ONNX file or OpenVINO's ``.xml``, with the weights that lie beside it."""
    weights = (file.with_suffix(".bin"), file.with_suffix(".data"), Path(f"{file}.data"))
    return sum(part.stat().st_size for part in (file, *weights) if part.is_file())


def short(name: str) -> str:
    """A folder's name."""
    return name.replace(", ", "-").replace(" ", "-").replace(".", "-").lower()


def versions(environments: Environments) -> dict[str, str]:
    """Of the packages in the peers' environments."""
    wanted = {"torch": environments.torch, "olive-ai": environments.olive}
    script = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    found = {}
    for package, python in wanted.items():
        if python is not None:
            done = subprocess.run(
                [str(python), "-c", script, package], capture_output=True, text=True, env=os.environ
            )
            found[package] = done.stdout.strip() or "missing"
    return found
