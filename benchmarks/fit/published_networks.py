"""Writes `catalog/published/networks.csv`: every Nth row of the tables, whatever its error.

Run by hand: ``python benchmarks/fit/published_networks.py --data ../shared/data``.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from network_rows import DEVICES as TIMM
from openvino_rows import device_of
from training_cases import NEUSIGHT_IDS as NEUSIGHT

OUT = Path("src/fitwright/catalog/published/networks.csv")
COLUMNS = ("case", "domain", "device_id", "inputs", "metric", "measured", "unit", "source")
EVERY = {"infer": 290, "train": 45, "openvino": 10, "neusight": 7}
Row = dict[str, object]


def timm(r: Mapping[str, str]) -> Row:
    """One throughput of a network on one card or CPU."""
    is_cpu = r["device"].startswith("Core")
    domain = "train" if r["mode"] == "train" else "cpu" if is_cpu else "gpu"
    inputs = {
        "model": r["model"],
        "img_size": int(r["img_size"]),
        "batch": int(r["batch"]),
        "dtype": r["dtype"],
        "compile": r["compile"],
        "layout": r["layout"],
    }
    inputs |= {k: float(r[k]) for k in ("gmacs", "params_M") if r[k]}
    return {
        "domain": f"e2e/vision-{domain}",
        "device_id": TIMM[r["device"]],
        "inputs": inputs,
        "metric": "samples_s",
        "measured": r["samples_s"],
        "unit": "img/s",
    }


def openvino(r: Mapping[str, str]) -> Row:
    """One figure of OpenVINO's table, in its own unit."""
    return {
        "domain": "e2e/openvino",
        "device_id": device_of(r["device"]),
        "inputs": {k: r[k] for k in ("model", "dtype", "note")},
        "metric": "value",
        "measured": r["value"],
        "unit": r["unit"],
    }


def neusight(r: Mapping[str, str]) -> Row:
    """One forward pass or step of a transformer in float32."""
    training = r["mode"].startswith("train")
    inputs: dict[str, object] = {"model": r["model"], "dtype": r["dtype"]}
    inputs |= {"batch": int(r["batch"]), "seq_len": int(r["seq_len"])}
    return {
        "domain": "training/single-gpu-fp32" if training else "e2e/transformer-fp32",
        "device_id": NEUSIGHT[r["device"]],
        "inputs": inputs | {"option": r["option"] or None},
        "metric": "e2e_ms",
        "measured": r["e2e_ms"],
        "unit": "ms",
    }


TABLES = {
    "infer": ("timm_vision", timm),
    "train": ("timm_vision", timm),
    "openvino": ("openvino", openvino),
    "neusight": ("neusight_e2e_measured", neusight),
}


def drawn(data: Path) -> Iterator[Row]:
    """Every Nth row of each table (timm's by mode), the first one at half of N."""
    number = 0
    for part, (table, reader) in TABLES.items():
        text = (data / "published" / f"{table}.csv").read_text()
        rows = list(csv.DictReader(text.splitlines()))
        if table == "timm_vision":
            rows = [r for r in rows if r["mode"] == part]
        for r in rows[EVERY[part] // 2 :: EVERY[part]]:
            number += 1
            row = reader(r)
            row["inputs"] = json.dumps(row["inputs"])
            yield {"case": f"networks-{number:02d}", **row, "source": r["source"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    rows = list(drawn(parser.parse_args().data))
    with OUT.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} rows")


if __name__ == "__main__":
    main()
