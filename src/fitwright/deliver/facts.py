"""Lists of name and value: what ships, the contract, the environment."""

from __future__ import annotations

from collections import Counter

from fitwright import units
from fitwright.deliver.evidence import Evidence
from fitwright.deliver.wording import bound_text, figure_title, plain, share
from fitwright.records.contract import Contract
from fitwright.records.environment import Environment
from fitwright.records.need import Need
from fitwright.records.recipe import Skipped, title

Pairs = list[tuple[str, str]]
DECISIONS = ("baseline", "accepted", "rejected", "failed")


def ships_rows(evidence: Evidence) -> Pairs:
    """Candidate, recipes, settings, file and digest of the artefact."""
    artefact, variant = evidence.artefact, evidence.variant
    if artefact is None:
        return []
    rows = [
        ("backend", plain(artefact.candidate.backend)),
        ("settings", plain(artefact.candidate.settings.describe())),
        ("computes in", plain(artefact.facts.get("precision", "unknown"))),
    ]
    if variant is None:
        return rows
    num_files = len(variant.files)
    files = f"{num_files} files" if num_files > 1 else "one file"
    rows += [
        ("recipes", plain(variant.title)),
        ("format", {"onnx": "ONNX", "openvino_ir": "OpenVINO IR"}[variant.format]),
        ("file size", f"{units.bytes_(variant.size_bytes)} in {files}"),
        ("SHA-256", variant.sha256),
    ]
    rows += [("note", plain(note, longest=600)) for note in variant.notes]
    return rows


def contract_rows(contract: Contract, need: Need | None) -> Pairs:
    """The contract as it was read, defaults included."""
    traffic = contract.traffic
    rate = f", {units.count(traffic.rate_per_s, '/s')}" if traffic.rate_per_s else ""
    streams = f", {traffic.streams} streams" if traffic.streams > 1 else ""
    rows = [
        ("model", plain(contract.model)),
        ("data", _data(contract)),
        (
            "traffic",
            f"{traffic.scenario.replace('_', ' ')}{rate}{streams}, batch {traffic.batch}",
        ),
        (
            "devices",
            plain(", ".join(d if isinstance(d, str) else d.describe() for d in contract.devices)),
        ),
        ("time budget", f"{units.seconds(contract.budget.time_s)}, stop when {_stop(contract)}"),
    ]
    limits = need.limits if need else ()
    rows += [(figure_title(limit.figure), bound_text(limit)) for limit in limits]
    agreement = contract.agreement
    words = f"relative L2 ≤ {agreement.relative_l2:g}, top-1 ≥ {agreement.top1:g}"
    binding = "" if need is None or not need.has_labels else "; labels decide instead"
    rows.append(("agreement with the original", words + binding))
    if contract.shapes:
        sizes = ", ".join(f"{plain(k)} = {v}" for k, v in contract.shapes.items())
        rows.append(("sizes", sizes))
    return rows


def _data(contract: Contract) -> str:
    if contract.data is None:
        return "none given: synthetic inputs, agreement with the original"
    metric = f", metric {plain(contract.data.metric)}" if contract.data.metric else ""
    kept = f", {share(contract.data.calibration_share, 0)} for calibration"
    return plain(contract.data.source) + metric + kept


def _stop(contract: Contract) -> str:
    return "every limit is met" if contract.budget.stop == "met" else "nothing is left to try"


def environment_rows(environment: Environment) -> Pairs:
    """Versions and machine."""
    memory = units.bytes_(environment.memory_bytes)
    return [
        ("Fitwright", plain(environment.fitwright)),
        ("Python", plain(environment.python)),
        ("system", plain(environment.os)),
        ("processor", f"{plain(environment.cpu)}, {environment.num_cores} cores"),
        ("memory", memory),
    ]


def accuracy_words(need: Need | None) -> str:
    """On what data, against what, with how many samples."""
    if need is None:
        return ""
    origin = "real inputs" if need.data_origin == "contract" else "synthetic inputs"
    judged = (
        f"Judged by {plain(need.metric)} against the labels"
        if need.has_labels
        else "Judged by agreement with the original model, for want of labels"
    )
    return (
        f"{judged}, on {need.num_evaluation} queries of {origin}; "
        f"{need.num_calibration} others were set aside for calibration."
    )


def trial_counts(evidence: Evidence) -> str:
    """``13 trials: 2 baseline, 4 accepted, 5 rejected, 2 failed``."""
    counts: Counter[str] = Counter(t.decision for t in evidence.trials)
    told = ", ".join(f"{counts[name]} {name}" for name in DECISIONS if counts[name])
    total = len(evidence.trials)
    return f"{total} trial{'s' if total != 1 else ''}: {told}"


def skipped_rows(skipped: tuple[Skipped, ...]) -> Pairs:
    """The recipe chain and why it was not applied."""
    return [(" + ".join(title(r) for r in row.recipes), row.reason) for row in skipped]
