"""Fitwright's artefact against what its neighbours' defaults give, side by side.

For each model: `fitwright fit` with a time budget, four peers built by the tools' own
interfaces from the same samples (`peer_builds.py`), then one interleaved run of them all
(`peer_compare.py`). Prints a Markdown table per model, writes ``benchmarks/.work/peers.json``
and, with ``--write-docs``, the marked block of ``docs/benchmarks.md``.

Run by hand on a quiet machine, after ``python benchmarks/models.py``:
``python benchmarks/peers.py [--model resnet50] [--time 5m] [--rounds 40] [--write-docs]``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from peer_builds import PEERS
from peer_compare import Contestant, compare, duel, finding
from peer_inputs import INPUTS, calibration_file, held_out
from peer_tables import document, write_block

from fitwright.deliver.environment import describe_environment
from fitwright.records.plan import Settings

HERE = Path(__file__).parent
WORK = HERE / ".work"
DOCS = HERE.parent / "docs" / "benchmarks.md"
DUEL_ROUNDS = 120
SETTLED = ("faster", "as fast", "no peer agrees as well")
ARTEFACT, CONTROL, ORIGINAL = "Fitwright", "Fitwright, second copy", "ONNX Runtime, defaults"
CONTRACT = """\
model: {model}
data: {{source: {samples}, calibration_share: 0.5}}
budget: {{time: {time}, stop: exhausted}}
"""


def fit(name: str, model: Path, *, folder: Path, budget: str) -> Contestant:
    """Fit without limits: the fastest artefact that agrees with the original.

    The contract names the samples that the peers calibrate on; Fitwright sets one part of
    them aside to calibrate and judges agreement on the rest.
    """
    contract = folder / f"{name}.yaml"
    samples = calibration_file(name, folder)
    contract.write_text(CONTRACT.format(model=model, samples=samples, time=budget))
    command = [str(Path(sys.executable).with_name("fitwright")), "fit", str(contract)]
    start = time.monotonic()
    done = subprocess.run(
        [*command, "--json", "--runs", str(folder / "runs")], stdout=subprocess.PIPE, text=True
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
    return Contestant(
        name=ARTEFACT,
        what=manifest["candidate"],
        backend=manifest["backend"],
        file=file,
        settings=Settings.model_validate(manifest["settings"]),
        made_s=made_s,
        size_bytes=sum(f.stat().st_size for f in file.parent.rglob("*") if f.is_file()),
    )


def peer(name: str, model: Path, *, folder: Path) -> Contestant:
    """One peer, built in a process of its own."""
    command = [sys.executable, str(HERE / "peer_builds.py"), name]
    target = folder / name.replace(", ", "-").replace(" ", "-").lower()
    done = subprocess.run(
        [*command, str(model), str(folder / "calibration.npz"), str(target)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    file = Path(answer["file"])
    return Contestant(
        name=name,
        what="built with its tool's defaults",
        backend=answer["backend"],
        file=file,
        settings=Settings(),
        made_s=answer["seconds"],
        size_bytes=sum(f.stat().st_size for f in file.parent.glob(f"{file.stem}.*")),
    )


def benchmark(name: str, *, budget: str, rounds: int) -> dict[str, Any]:
    """Fit, build the peers, compare; plain values."""
    model = WORK / "models" / f"{name}.onnx"
    if not model.is_file():
        raise SystemExit(f"{model} is missing; build it with `python {HERE / 'models.py'}`")
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    fitted = fit(name, model, folder=folder, budget=budget)
    control = replace(fitted, name=CONTROL)
    peers = [peer(tool, model, folder=folder) for tool in PEERS]
    rows = compare(
        [fitted, *peers, control], held_out=held_out(name), reference=ORIGINAL, rounds=rounds
    )
    found, num_rounds = finding(rows[0], rows[1:-1]), rounds
    if found.outcome not in SETTLED:
        rival = next(p for p in peers if p.name == found.rival)
        num_rounds = DUEL_ROUNDS
        found = duel(fitted, rival, held_out=held_out(name), rounds=num_rounds)
    return {
        "model": name,
        "candidate": fitted.what,
        "rounds": num_rounds,
        "budget": budget,
        "rows": [row.to_json() for row in rows],
        "finding": asdict(found),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and write what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", choices=INPUTS, help="default: all")
    parser.add_argument("--time", default="5 min", help="time budget of each fit")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--write-docs", action="store_true")
    chosen = parser.parse_args(arguments)
    names = chosen.model or list(INPUTS)
    environment = describe_environment("python benchmarks/peers.py").model_dump()
    results = [benchmark(n, budget=chosen.time, rounds=chosen.rounds) for n in names]
    found = {"environment": environment, "results": results}
    (WORK / "peers.json").write_text(json.dumps(found, indent=2) + "\n")
    text = document(found)
    print(text)
    if chosen.write_docs:
        write_block(DOCS, text)


if __name__ == "__main__":
    main()
