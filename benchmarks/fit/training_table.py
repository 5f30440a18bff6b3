"""Writes the short table of training runs that `fitwright validate` scores by itself.

    python benchmarks/fit/training_table.py --data ../shared/data

The rule: of each source every n-th row, from the first on, so that three to fourteen remain;
besides, all_reduce sweeps from public issues that no constant is fitted to.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import training_cases as published

from fitwright.validate.case import Case

OUT = Path(__file__).parents[2] / "src/fitwright/catalog/published/training.csv"
COLUMNS = ("case", "domain", "device_id", "inputs", "metric", "measured", "unit", "source")
LINKED = {
    "a100_sxm": "a100-80-sxm",
    "h100_sxm": "h100-sxm",
    "rtx_pro_6000_server": "rtx-pro-6000-se",
    "b60": "arc-pro-b60",
}


def figure_1(data: Path) -> Iterable[Case]:
    keep = [
        "model",
        "tensor_par",
        "pipeline_par",
        "micro_batch",
        "global_batch",
        "gpus",
        "interleave",
        "mode",
    ]
    for r in published.rows(data, "korthikanti_fig1_memory"):
        for metric in ("activations_GiB_per_gpu", "params_optimizer_GiB_per_gpu"):
            yield replace(
                published.case(
                    "a100-80-sxm",
                    {k: r[k] for k in keep},
                    metric,
                    r[metric],
                    "GiB",
                    source=r["source"],
                ),
                domain="memory/training",
            )


def collectives(data: Path) -> Iterable[Case]:
    for r in published.rows(data, "collectives_alpha_beta"):
        yield replace(
            published.case(
                LINKED[r["system"]],
                {
                    "op_name": r["op"],
                    "num_gpus": int(r["num_gpus"]),
                    "bytes": int(r["max_bytes"]),
                },
                "busbw_gb_s",
                r["busbw_at_max_gb_s"],
                "GB/s",
                source=r["source"],
            ),
            domain="op/collective",
        )


# All_reduce sweeps that no constant is fitted to: device, ranks, bytes, microseconds, source.
UNSEEN = (
    ("gb200", 72, 2**29, 1806.7, "coreweave/nccl-tests pull request 43"),
    ("gb200", 72, 2**30, 3108.8, "coreweave/nccl-tests pull request 43"),
    ("gb200", 72, 2**31, 5589.1, "coreweave/nccl-tests pull request 43"),
    ("gb200", 72, 2**33, 20299.0, "coreweave/nccl-tests pull request 43"),
    ("mi300x", 8, 2**23, 91.1, "crickett-hpe/hpc-ai-envs pull request 30"),
    ("rtx-5090", 8, 2**30, 67108.9, "NVIDIA/nccl issue 1639 (bus bandwidth 28 GB/s)"),
    ("rtx-5090", 4, 2**30, 46017.5, "NVIDIA/nccl issue 1639 (bus bandwidth 35 GB/s)"),
)


def unseen() -> Iterable[Case]:
    for device, ranks, size, microseconds, source in UNSEEN:
        inputs = {"op_name": "all_reduce", "num_gpus": ranks, "bytes": size}
        made = published.case(device, inputs, "latency_us", str(microseconds), "us", source=source)
        yield replace(made, domain="op/collective")


def four(data: Path) -> Iterable[Case]:
    return (
        replace(c, domain="training/4gpu")
        for c in published.neusight(data)
        if c.inputs["gpus"] == 4 or c.device_id == "v100-pcie-32"
    )


def table(data: Path) -> Iterable[Case]:
    every = (
        (published.megatron(data), 2),
        (published.korthikanti(data), 2),
        (published.dlperf(data, "megatron"), 6),
        (published.foundry(data), 18),
        (published.titan(data), 6),
        (four(data), 2),
        (figure_1(data), 3),
        (published.titan_peaks(data), 4),
        (published.torchao(data), 4),
        (published.torchao_peaks(data), 4),
        (published.megatron_peaks(data), 4),
        (collectives(data), 8),
        (unseen(), 1),
    )
    return chain.from_iterable(list(cases)[::n] for cases, n in every)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    with OUT.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i, c in enumerate(table(data), start=1):
            inputs = json.dumps(dict(c.inputs))
            row = (f"T{i:02d}", c.domain, c.device_id, inputs, c.metric, c.measured, c.unit)
            writer.writerow((*row, c.source))


if __name__ == "__main__":
    main()
