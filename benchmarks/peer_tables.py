"""The benchmark's findings as Markdown, and their place in the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fitwright import units

BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"
HEADER = (
    "| | median latency (95 %) | artefact faster by (95 %) | relative L2 | size | made in |\n"
    "|---|---|---|---|---|---|"
)
PACKAGES = ("onnxruntime", "openvino", "nncf", "numpy")


def document(found: Mapping[str, Any]) -> str:
    """Every model's table, with the machine and the versions they hold for."""
    parts = [machine(found["environment"])]
    for result in found["results"]:
        parts += [f"### {result['model']}", table(result), conclusion(result)]
    return "\n\n".join(parts)


def machine(environment: Mapping[str, Any]) -> str:
    """One sentence that says where the figures come from."""
    versions = environment["packages"]
    named = ", ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions)
    return (
        f"{environment['cpu']}, {environment['num_cores']} cores, "
        f"{units.bytes_(environment['memory_bytes'])}; Python {environment['python']}, {named}; "
        f"{environment['started'][:10]}."
    )


def table(result: Mapping[str, Any]) -> str:
    """One row per contestant."""
    return "\n".join([HEADER, *(table_row(row) for row in result["rows"])])


def table_row(row: Mapping[str, Any]) -> str:
    """Latency, ratio, agreement, size and effort of one contestant."""
    low, high = units.seconds(row["latency_low_s"]), units.seconds(row["latency_high_s"])
    cells = (
        row["name"],
        f"{units.seconds(row['latency_s'])} ({low} to {high})",
        f"{row['speed']:.3f}x ({row['speed_low']:.3f} to {row['speed_high']:.3f})",
        f"{row['relative_l2']:.2g}",
        units.bytes_(row["size_bytes"]),
        units.seconds(row["made_s"]) if row["made_s"] >= 1 else "-",
    )
    return f"| {' | '.join(cells)} |"


def conclusion(result: Mapping[str, Any]) -> str:
    """What ships, and how it stands against the fastest peer of no worse agreement."""
    found = result["finding"]
    artefact = f"Fitwright ships `{result['candidate']}`, found in {result['budget']}."
    if found["rival"] == "none":
        return f"{artefact} No peer agrees with the original as well as it does."
    span = f"{found['speed']:.3f}x, 95 % interval {found['speed_low']:.3f} to "
    return (
        f"{artefact} Against the fastest peer of no worse agreement, {found['rival']}: "
        f"**{found['outcome']}** ({span}{found['speed_high']:.3f}, {result['rounds']} rounds)."
    )


def write_block(page: Path, text: str) -> None:
    """Replace what stands between the two marks of the page."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
