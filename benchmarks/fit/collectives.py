"""Fits start-up times and shares of the link's speed from measured collectives.

    python benchmarks/fit/collectives.py --data ../shared/data

Writes `src/fitwright/catalog/constants/collectives.yaml` and prints how far the other devices'
constants are off on each device (the formula is in `fitwright.perf.collective`).
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from fitwright.perf.collective import BULK_START, RAMP_S, Pace, transfer_s, wire_factor

OUT = Path(__file__).parents[2] / "src/fitwright/catalog/constants/collectives.yaml"
SOURCE = "ai-dynamo/aiconfigurator collectives (collectives_alpha_beta.csv)"
PEAKS = "peaks at 4 to 8 GiB: NVIDIA/nccl issue 1048, NVIDIA/nccl-tests issues 212 and 290"
# id of the sheet, architecture, family, link family, link bytes/s (as on the sheet)
DEVICES = {
    "a100_sxm": ("a100-80-sxm", "Ampere GA100", "nvidia-gpu", "nvlink", 300e9),
    "h100_sxm": ("h100-sxm", "Hopper", "nvidia-gpu", "nvlink", 450e9),
    "rtx_pro_6000_server": ("rtx-pro-6000-se", "Blackwell GB202", "nvidia-gpu", "pcie", 64e9),
    "b60": ("arc-pro-b60", "Xe2", "intel-gpu", "pcie", 32e9),
}
OPERATIONS = {"alltoall": "all_to_all"}
Constants = dict[str, float]
# Of empty messages. Family: 80 % of the held-out devices; libraries and hosts decide as well.
START_SPREAD = {"device": 1.2, "architecture": 1.4, "family": 2.0, "kind": 2.2}
# Bytes/s of one device in one direction, devices of a node, and where that is from.
NETWORKS = {
    ("architecture", "Volta"): (
        1.1e9,
        8,
        "one 100 Gb/s adapter for eight, 70 % of it (DLPerf's nodes)",
    ),
    ("architecture", "Ampere GA100"): (
        25e9,
        8,
        "one 200 Gb/s adapter each (Selene, llm-foundry)",
    ),
    ("architecture", "Hopper"): (50e9, 8, "one 400 Gb/s adapter each (torchtitan's nodes)"),
    ("architecture", "Blackwell"): (50e9, 8, "one 400 Gb/s adapter each, as usual"),
    ("architecture", "Blackwell Ultra"): (100e9, 8, "one 800 Gb/s adapter each, as usual"),
    ("device", "gb200"): (50e9, 72, "one 400 Gb/s adapter each, 72 on one NVLink switch"),
    ("device", "gb300"): (100e9, 72, "one 800 Gb/s adapter each, 72 on one NVLink switch"),
    ("architecture", "CDNA3"): (50e9, 8, "one 400 Gb/s adapter each, as usual"),
    ("architecture", "CDNA4"): (50e9, 8, "one 400 Gb/s adapter each, as usual"),
    ("kind", "gpu"): (25e9, 8, "assumed one 200 Gb/s adapter each"),
    ("kind", "tpu"): (25e9, 256, "assumed; a slice of up to 256 chips is joined by ICI"),
    ("kind", "npu"): (12.5e9, 16, "assumed"),
    ("kind", "asic"): (25e9, 8, "assumed"),
}


def speed(operation: str, ranks: int, busbw: float, num_bytes: float, start_s: float) -> float:
    """Speed at which the bulk protocol takes as long as was measured."""
    wire = num_bytes * float(wire_factor(operation, ranks))
    rest = wire / busbw - BULK_START * start_s
    # wire / v + wire * sqrt(RAMP_S / (num_bytes * v)) = rest, a quadratic in 1 / sqrt(v)
    b = math.sqrt(RAMP_S / num_bytes)
    root = (-b + math.sqrt(b * b + 4 * rest / wire)) / 2
    return 1 / root**2


def starts(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Start of two ranks and what each further one adds: the median slope (Theil-Sen)."""
    slope = median((t - s) / (n - m) for m, s in points for n, t in points if n > m)
    return median(t - slope * (n - 2) for n, t in points), slope


def measured(data: Path) -> dict[tuple[str, str], Constants]:
    """Constants by (system, operation)."""
    rows: dict[tuple[str, str], list[tuple[int, float, float, float]]] = defaultdict(list)
    for row in csv.DictReader((data / "published/collectives_alpha_beta.csv").open()):
        operation, ranks = OPERATIONS.get(row["op"], row["op"]), int(row["num_gpus"])
        busbw = float(row["busbw_at_max_gb_s"]) * 1e9
        if row["system"] == "b60" and operation == "all_gather":
            busbw *= ranks  # its sizes are of one rank
        start = float(row["alpha_us"]) * 1e-6
        rows[row["system"], operation].append((ranks, start, busbw, float(row["max_bytes"])))
    found = {}
    for (system, operation), points in rows.items():
        start, slope = starts([(n, t) for n, t, _, _ in points])
        link = DEVICES[system][4]
        shares = {n: speed(operation, n, b, size, t) / link for n, t, b, size in points}
        last = shares[max(shares)]
        found[system, operation] = {
            "start_s": round(start, 8),
            "start_per_rank_s": round(slope, 8),
            **{f"share_{n}": round(shares.get(n, last), 4) for n in (2, 4, 8)},
        }
    return found


def middle(rows: list[Constants]) -> Constants:
    return {k: round(median(r[k] for r in rows), 9) for k in rows[0]}


def evidence(what: str, link: str, rung: str, scope: str, **rest: Any) -> dict[str, Any]:
    if what != "network":
        rest["constants"] = rest["constants"] | {"start_spread": START_SPREAD[rung]}
    return {"what": f"collective/{what}", "dtype": link, "rung": rung, "scope": scope, **rest}


def evidences(found: dict[tuple[str, str], Constants]) -> list[dict[str, Any]]:
    rows = []
    source = f"{SOURCE}; {PEAKS}"
    for (system, op), c in found.items():
        device, architecture, _, link, _ = DEVICES[system]
        for rung, scope, spread in (("device", device, 1.2), ("architecture", architecture, 1.25)):
            rows.append(
                evidence(
                    op, link, rung, scope, constants=c, spread=spread, num_points=6, source=source
                )
            )
    operations = sorted({op for _, op in found})
    for op in operations:
        for family, link in (
            ("nvidia-gpu", "nvlink"),
            ("nvidia-gpu", "pcie"),
            ("intel-gpu", "pcie"),
        ):
            of = [c for (s, o), c in found.items() if o == op and DEVICES[s][2:4] == (family, link)]
            if of:
                rows.append(
                    evidence(
                        op,
                        link,
                        "family",
                        family,
                        constants=middle(of),
                        spread=1.4,
                        num_points=6 * len(of),
                        source=source,
                    )
                )
        rows += wider(op, found, source)
    return rows + lone() + cube_mesh(found) + bridges(found) + networks()


def wider(op: str, found: dict[tuple[str, str], Constants], source: str) -> list[dict[str, Any]]:
    """Kinds of device: measured links of GPUs; other kinds only by analogy.

    Links without reduction in the switch go as A100's rings do.
    """
    rings = found["a100_sxm", op]
    pcie = middle([c for (s, o), c in found.items() if o == op and DEVICES[s][3] == "pcie"])
    rows = []
    for kind in ("gpu", "tpu", "npu", "asic", "cpu"):
        said = source if kind == "gpu" else f"by analogy with GPUs, no measurement; {source}"
        spread = 1.6 if kind == "gpu" else 2.0
        for link, c in (("", rings), ("pcie", pcie)):
            rows.append(
                evidence(
                    op, link, "kind", kind, constants=c, spread=spread, num_points=12, source=said
                )
            )
    return rows


def lone() -> list[dict[str, Any]]:
    """L40S without peer access: 2 GB/s among eight; two and four in between by the ranks."""
    c = {"start_s": 1.2e-5, "start_per_rank_s": 3e-6}
    c |= {"share_2": 0.25, "share_4": 0.12, "share_8": 0.0625}
    source = "ai-dynamo/aiconfigurator: 8 L40S over PCIe without P2P reach about 2 GB/s"
    return [
        evidence(op, "pcie", "device", "l40s", constants=c, spread=1.6, num_points=1, source=source)
        for op in ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")
    ]


def cube_mesh(found: dict[tuple[str, str], Constants]) -> list[dict[str, Any]]:
    """V100 in a hybrid cube mesh: two of eight share one of a device's six links, four four.

    Each link is used as A100's eight use theirs, start-up as well.
    """
    source = f"links between the first 2, 4 and 8 GPUs of a DGX-1 (its topology); {SOURCE}"
    rows = []
    for op in sorted({op for _, op in found}):
        rings = found["a100_sxm", op]
        links = {2: 1 / 6, 4: 4 / 6, 8: 1.0}
        shares = {f"share_{n}": round(part * rings["share_8"], 4) for n, part in links.items()}
        rows.append(
            evidence(
                op,
                "nvlink",
                "device",
                "v100-sxm2",
                constants=rings | shares,
                spread=1.4,
                num_points=6,
                source=source,
            )
        )
    return rows


def bridges(found: dict[tuple[str, str], Constants]) -> list[dict[str, Any]]:
    """Two devices on a bridge: 0.39 of its speed on H100 PCIe, 0.43 on RTX 2080 Ti."""
    source = "two on a bridge: NVIDIA/nccl issue 1161 (H100 PCIe), nccl-tests issue 44 (2080 Ti)"
    rows = []
    for op in sorted({op for _, op in found}):
        starts_ = middle([c for (_, o), c in found.items() if o == op])
        c = starts_ | {f"share_{n}": 0.41 for n in (2, 4, 8)}
        rows.append(
            evidence(
                op, "bridge", "kind", "gpu", constants=c, spread=1.4, num_points=2, source=source
            )
        )
    return rows


def networks() -> list[dict[str, Any]]:
    source = (
        "share: 8 A100 with four HDR adapters reach 86 to 96 of 100 GB/s (NVIDIA/nccl issue 1048, "
        "nccl-tests issue 119); starts: 47, 62 and 63 us over 2, 16 and 32 nodes (NVIDIA/nccl "
        "issues 1244, 1469, 652)"
    )
    return [
        evidence(
            "network",
            "",
            rung,
            scope,
            constants={
                "bytes_per_s": b,
                "node": n,
                "share": 0.9,
                "start_s": 2.2e-5,
                "hop_s": 5e-6,
            },
            spread=1.3,
            num_points=5,
            source=f"{note}; {source}",
        )
        for (rung, scope), (b, n, note) in NETWORKS.items()
    ]


def transferred(data: Path, found: dict[tuple[str, str], Constants]) -> None:
    """Prints errors of every device predicted with the constants of the other ones alone."""
    small, large = [], []
    for row in csv.DictReader((data / "published/collectives_alpha_beta.csv").open()):
        operation, ranks = OPERATIONS.get(row["op"], row["op"]), int(row["num_gpus"])
        others = [
            c
            for (system, op), c in found.items()
            if op == operation
            and DEVICES[system][3] == DEVICES[row["system"]][3]
            and system != row["system"]
        ]
        if not others:
            continue
        size, busbw = float(row["max_bytes"]), float(row["busbw_at_max_gb_s"]) * 1e9
        if row["system"] == "b60" and operation == "all_gather":
            busbw *= ranks
        kin = _pace(middle(others), DEVICES[row["system"]][4])
        wire = size * float(wire_factor(operation, ranks))
        large.append(float(transfer_s(operation, size, ranks=ranks, pace=kin)) * busbw / wire - 1)
        start = float(row["alpha_us"]) * 1e-6
        small.append(float(transfer_s(operation, 8, ranks=ranks, pace=kin)) / start - 1)
    for name, errors in (("8 bytes", small), ("512 MiB", large)):
        size = sorted(abs(math.log1p(e)) for e in errors)
        band = math.exp(size[int(0.8 * len(size))])
        print(
            f"held-out devices, {name}: n={len(size)} median {math.expm1(median(size)):.3f}, "
            f"80 % band x{band:.2f}"
        )


def _pace(c: Constants, link: float) -> Pace:
    return Pace(
        bytes_per_s=link,
        shares=(c["share_2"], c["share_4"], c["share_8"]),
        start_s=c["start_s"],
        start_per_rank_s=c["start_per_rank_s"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    found = measured(data)
    transferred(data, found)
    OUT.write_text(yaml.safe_dump(evidences(found), sort_keys=False, width=100))
    print(f"{OUT}: {len(evidences(found))} rows")


if __name__ == "__main__":
    main()
