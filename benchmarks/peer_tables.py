"""The benchmark's findings as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fitwright import units

SUMMARY_HEADER = (
    "| model | batch | Fitwright | against the best peer | | "
    "against the best given the same ONNX file | |\n|---|---|---|---|---|---|---|"
)
HEADER = (
    "| | median latency (95 %) | artefact faster by (95 %) | {agreement} | size | made in |\n"
    "|---|---|---|---|---|---|"
)
PACKAGES = ("onnxruntime", "openvino", "nncf", "numpy", "torch", "olive-ai")
WANTED = 1.2  # of transformers, against the best peer given the same ONNX file
FROM_TORCH = " (from torch)"
Result = Mapping[str, Any]


def document(results: Sequence[Result]) -> str:
    """A summary, then every case's table, with the machine and the versions they hold for."""
    if not results:
        return "No case has been run yet."
    parts = [f"{place}." for place in dict.fromkeys(machine(r["environment"]) for r in results)]
    parts += [summary(results), tally(results)]
    for result in results:
        parts += [f"### {title(result)}", table(result), f"{conclusion(result)}{left(result)}"]
        parts += [absent(result)] if result["not_run"] else []
    return "\n\n".join(parts)


def machine(environment: Mapping[str, Any]) -> str:
    """Where figures come from."""
    versions = environment["packages"]
    named = ", ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions)
    return (
        f"{environment['cpu']}, {environment['num_cores']} cores, "
        f"{units.bytes_(environment['memory_bytes'])}; Python {environment['python']}, {named}; "
        f"{environment['started'][:10]}"
    )


def title(result: Result) -> str:
    """``resnet50, batch 1``."""
    return f"{result['model']}, batch {result['batch']}"


def summary(results: Sequence[Result]) -> str:
    """One row per case: the artefact, and both verdicts."""
    return "\n".join([SUMMARY_HEADER, *(summary_row(r) for r in results)])


def summary_row(result: Result) -> str:
    """Latency, then the ratio and the outcome against each kind of best peer."""
    cells = [result["model"], str(result["batch"]), units.seconds(result["rows"][0]["latency_s"])]
    for scope in ("all", "onnx"):
        found = result["findings"][scope]
        cells += [against(found, result), outcome(found, result, scope=scope)]
    return f"| {' | '.join(cells)} |"


def against(found: Mapping[str, Any], result: Result) -> str:
    """``1.35x (1.31 to 1.39) OpenVINO, NNCF int8``."""
    if found["rival"] == "none":
        return "none agrees as well"
    mark = FROM_TORCH if given(found["rival"], result) == "torch" else ""
    return f"{ratio(found)} {found['rival']}{mark}"


def ratio(found: Mapping[str, Any]) -> str:
    """``1.350x (1.310 to 1.390)``."""
    return f"{found['speed']:.3f}x ({found['speed_low']:.3f} to {found['speed_high']:.3f})"


def given(name: str, result: Result) -> str:
    """What a contestant's maker started from."""
    return next(str(row["given"]) for row in result["rows"] if row["name"] == name)


def outcome(found: Mapping[str, Any], result: Result, *, scope: str) -> str:
    """The outcome in bold; for transformers, whether the wanted factor is reached."""
    words = f"**{found['outcome']}**"
    if scope == "onnx" and result["transformer"] and found["rival"] != "none":
        words += f"; {reached(found)}"
    return words


def reached(found: Mapping[str, Any]) -> str:
    """Whether the whole interval lies above WANTED, below it, or neither."""
    if found["speed_low"] >= WANTED:
        return f"{WANTED:g}x reached"
    if found["speed_high"] < WANTED:
        return f"{WANTED:g}x missed"
    return f"{WANTED:g}x undecided"


def tally(results: Sequence[Result]) -> str:
    """How often each outcome came, and how often the wanted factor."""
    lines = []
    for scope, words in {"all": "every peer", "onnx": "peers given the same ONNX file"}.items():
        counts = Counter(r["findings"][scope]["outcome"] for r in results)
        named = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        lines.append(f"Against the best of {words}, {len(results)} cases: {named}.")
    wanted = [r["findings"]["onnx"] for r in results if r["transformer"]]
    counts = Counter(reached(found) for found in wanted if found["rival"] != "none")
    named = ", ".join(f"{name} in {count}" for name, count in counts.most_common())
    lines.append(f"Transformers, {len(wanted)} cases: {named or 'none to judge'}.")
    return "\n".join(lines)


def table(result: Result) -> str:
    """One row per contestant."""
    metric = result["metric"]
    header = HEADER.format(agreement=f"{metric}; relative L2" if metric else "relative L2")
    return "\n".join([header, *(table_row(row) for row in result["rows"])])


def table_row(row: Mapping[str, Any]) -> str:
    """Latency, ratio, agreement, size and effort of one contestant."""
    low, high = units.seconds(row["latency_low_s"]), units.seconds(row["latency_high_s"])
    agreement = f"{row['relative_l2']:.2g}"
    if row["metric"] is not None:
        agreement = f"{row['metric']:.4f}; {agreement}"
    cells = (
        row["name"] + (FROM_TORCH if row["given"] == "torch" else ""),
        f"{units.seconds(row['latency_s'])} ({low} to {high})",
        ratio(row),
        agreement,
        units.bytes_(row["size_bytes"]),
        units.seconds(row["made_s"]) if row["made_s"] >= 1 else "-",
    )
    return f"| {' | '.join(cells)} |"


def conclusion(result: Result) -> str:
    """What ships, and how it stands against the best peers at the same agreement."""
    lines = [f"Fitwright ships `{result['candidate']}`, given {result['budget']}."]
    for scope, words in {
        "all": "the best peer at the same agreement",
        "onnx": "the best of those given the same ONNX file",
    }.items():
        found = result["findings"][scope]
        if found["rival"] == "none":
            lines.append(f"Against {words}: no peer agrees with the original as well as it does.")
            continue
        lines.append(
            f"Against {words}, {found['rival']}: {outcome(found, result, scope=scope)} "
            f"({found['speed']:.3f}x, 95 % interval {found['speed_low']:.3f} to "
            f"{found['speed_high']:.3f}, {found['rounds']} rounds)."
        )
    return " ".join(lines)


def left(result: Result) -> str:
    """Who was so far behind that the rounds went on without them."""
    fewer = [r for r in result["rows"] if r.get("rounds", result["rounds"]) < result["rounds"]]
    if not fewer:
        return ""
    names = ", ".join(row["name"] for row in fewer)
    return f" Far behind after {fewer[0]['rounds']} rounds, and left out of the others: {names}."


def absent(result: Result) -> str:
    """The peers that did not run, each with its reason; of paths only the file's name."""
    reasons = "; ".join(f"{n['name']} ({n['reason']})" for n in result["not_run"])
    return f"Not run: {re.sub(r'/[^ :]*/', '', reasons)}."
