"""Draws the short table `catalog/published/llm.csv` from the bulk files.

    python benchmarks/fit/published_llm.py --data ../shared/data

The rule: every sixth row of decode at batch 1, every ninth full queue, every third offline row of
MLPerf whose device is in the catalogue, every fortieth metered run of one user; in the order of
the files. No row is chosen for how well it fits.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

from llm_rows import METERED, SUBMITTED, TASKS

OUT = Path(__file__).parents[2] / "src/fitwright/catalog/published/llm.csv"
COLUMNS = ("case", "domain", "device_id", "inputs", "metric", "measured", "unit", "source")
DEVICES = {"A100-80GB": "a100-80-sxm", "A100-80GB SXM": "a100-80-sxm", "H100 SXM": "h100-sxm",
           "H100-80GB SXM": "h100-sxm", "MI250X (one GCD)": "mi250x"}  # fmt: skip
Raw = dict[str, str]


def raw_rows(data: Path, name: str) -> list[Raw]:
    with (data / "published" / name).open() as file:
        return list(csv.DictReader(file))


def case(domain: str, device: str, inputs: Raw, metric: str, measured: str, unit: str,
         source: str) -> Raw:  # fmt: skip
    given = json.dumps({k: v for k, v in inputs.items() if v})
    return {"domain": domain, "device_id": device, "inputs": given, "metric": metric,
            "measured": measured, "unit": unit, "source": source}  # fmt: skip


def pick(row: Raw, *names: str) -> Raw:
    return {n: row[n] for n in names}


def decode(data: Path) -> Iterator[Raw]:
    for r in raw_rows(data, "llm_decode_batch1.csv")[::6]:
        yield case("e2e/llm-decode", DEVICES[r["device"]],
                   pick(r, "model", "dtype", "tensor_par", "batch"), "decode_tok_s",
                   r["decode_tok_s"], "tok/s", r["source"])  # fmt: skip


def full_queues(data: Path) -> Iterator[Raw]:
    known = [r for r in raw_rows(data, "llm_serving_trtllm_vllm.csv") if r["device"] in DEVICES]
    for r in known[::9]:
        given = pick(r, "model", "dtype", "tensor_par", "input_len", "output_len", "software")
        yield case("e2e/llm-serving-offline", DEVICES[r["device"]], given, r["metric"],
                   r["throughput"], "tok/s", r["source"])  # fmt: skip


def submissions(data: Path) -> Iterator[Raw]:
    known = [
        r
        for r in raw_rows(data, "mlperf_best_per_device.csv")
        if r["device"].lower() in SUBMITTED
        and r["scenario"] == "Offline"
        and r["benchmark"].replace("_", ".").startswith(TASKS)
    ]
    for r in known[::3]:
        given = pick(r, "version", "benchmark", "scenario", "weight_dtype", "n_devices")
        yield case("e2e/llm-offline", SUBMITTED[r["device"].lower()], given, "best_value",
                   r["best_value"], r["unit"], r["source"])  # fmt: skip


def metered(data: Path) -> Iterator[Raw]:
    for r in raw_rows(data, "mlenergy_legacy_batch1.csv")[::40]:
        given = pick(r, "model", "response_length")
        yield case("energy/llm", METERED[r["gpu"]][0], given, "energy_per_request_j",
                   r["energy"], "J/request (GPU)", r["source"])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    rows = [r for draw in (decode, full_queues, submissions, metered) for r in draw(data)]
    with OUT.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({"case": f"llm-{i:02d}", **r} for i, r in enumerate(rows, 1))


if __name__ == "__main__":
    main()
