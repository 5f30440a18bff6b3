"""The published training runs as cases, the way `fitwright validate` reads them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fitwright.validate.case import Case

FOUNDRY_IDS = {"a100_80gb": "a100-80-sxm", "a100_40gb": "a100-40-sxm", "h100_80gb": "h100-sxm"}
NEUSIGHT_IDS = {
    "AMD_Instinct_MI210": "mi210",
    "NVIDIA_A100-PCIE-40GB": "a100-40-pcie",
    "NVIDIA_A100-SXM4-40GB": "a100-40-sxm",
    "NVIDIA_A100_80GB_PCIe": "a100-80-pcie",
    "Tesla_P100-PCIE-16GB": "tesla-p100-pcie",
    "Tesla_P4": "tesla-p4",
    "Tesla_T4": "t4",
    "Tesla_V100-PCIE-32GB": "v100-pcie-32",
}
TORCHAO_IDS = {
    "8x H100 SXM": "h100-sxm",
    "RTX 4070 Ti SUPER": "rtx-4070ti-super",
    "A100-80GB": "a100-80-sxm",
}
TITAN = "h100-sxm-96-hbm2e"
FIGURES = (
    "tokens_s_per_gpu",
    "peak_memory_GiB",
    "oneflow_iteration_ms",
    "oneflow_memory_MiB",
    "oneflow_tflops_per_gpu",
    "megatron_tflops_per_gpu",
    "oneflow_samples_s",
    "megatron_samples_s",
    "megatron_memory_MiB",
)


# MiB in use under Megatron-LM, in the order of the table of OneFlow's runs
# (Oneflow-Inc/DLPerf:Megatron-LM/README.md).
MEGATRON_MIB = (
    *(14362, 14938, 14508, 14508, 9810, 12684, 12150, 8834, 14938),
    *(12684, 9104, 9642, 14928, 15004, 7130, 14204, 10018, 10554),
)


def rows(data: Path, name: str) -> Iterator[dict[str, str]]:
    with (data / "published" / f"{name}.csv").open() as file:
        yield from csv.DictReader(file)


def case(
    device: str, inputs: dict[str, object], metric: str, measured: str, unit: str, *, source: str
) -> Case:
    return Case(
        case=source,
        domain="training/fsdp" if unit.startswith("tok") else "training/megatron",
        device_id=device,
        inputs={k: v for k, v in inputs.items() if v not in ("", None)},
        metric=metric,
        measured=float(measured),
        unit=unit,
        source=source,
    )


def foundry(data: Path) -> Iterator[Case]:
    """llm-foundry; FP8 rows last."""
    keep = [
        "model",
        "n_gpus",
        "precision",
        "micro_batch",
        "global_batch",
        "seq_len",
        "act_ckpt",
        "sharding",
    ]
    for r in rows(data, "training_llmfoundry_mpt"):
        measured = r["tokens_per_s_per_gpu"]
        yield case(
            FOUNDRY_IDS[r["gpu"]],
            {k: r[k] for k in keep},
            "tokens_per_s_per_gpu",
            measured,
            "tok/s/GPU",
            source=r["source"],
        )


def titan(data: Path) -> Iterator[Case]:
    """torchtitan."""
    for r in _titan_rows(data):
        yield _titan(r, "tokens_s_per_gpu", "tok/s/GPU")


def titan_peaks(data: Path) -> Iterator[Case]:
    """Peak memory that torchtitan reserves, where it is stated."""
    for r in _titan_rows(data):
        if r["peak_memory_GiB"]:
            yield replace(_titan(r, "peak_memory_GiB", "GiB"), domain="memory/training")


def torchao(data: Path) -> Iterator[Case]:
    """torchao's runs; not those of torchtune, which leave batch and length out, nor in int8."""
    for r in _torchao_rows(data):
        if r["device"].startswith("A100"):
            continue
        unit = "images/s" if r["unit"].startswith("images") else r["unit"].replace(" (median)", "")
        yield replace(_torchao(r, "throughput", unit), domain="training/torchao")


def torchao_peaks(data: Path) -> Iterator[Case]:
    """Peak memory that they have allocated, on one device.

    torchtune (the runs on A100) prints GiB as GB: 8 bytes for each of 6.74e9 parameters alone
    exceed its 51.6e9.
    """
    for r in _torchao_rows(data):
        if r["device"].startswith("8x"):
            continue
        unit = "GiB" if r["device"].startswith("A100") else "GB"
        yield replace(_torchao(r, "peak_memory_GB", unit), domain="memory/training")


def _torchao_rows(data: Path) -> Iterator[dict[str, str]]:
    return (r for r in rows(data, "training_torchao") if not r["dtype"].startswith("int8"))


def _torchao(r: dict[str, str], metric: str, unit: str) -> Case:
    keep = ("dtype", "model", "config", "local_batch", "seq_or_size")
    device = TORCHAO_IDS[r["device"]]
    return case(device, {k: r[k] for k in keep}, metric, r[metric], unit, source=r["source"])


def _titan_rows(data: Path) -> Iterator[dict[str, str]]:
    """Of the device that is in the catalogue."""
    return (r for r in rows(data, "training_torchtitan") if r["device"].startswith("H100-96GB"))


def _titan(r: dict[str, str], metric: str, unit: str) -> Case:
    inputs = {k: v for k, v in r.items() if k not in ("device", "source", *FIGURES)}
    return case(TITAN, dict(inputs), metric, r[metric], unit, source=r["source"])


def megatron(data: Path) -> Iterator[Case]:
    """Narayanan et al. 2021, table 1."""
    keep = [
        "params_B",
        "layers",
        "hidden",
        "heads",
        "tensor_par",
        "pipeline_par",
        "gpus",
        "global_batch",
    ]
    for r in rows(data, "megatron_table1"):
        yield case(
            "a100-80-sxm",
            {k: r[k] for k in keep},
            "achieved_tflops_per_gpu",
            r["achieved_tflops_per_gpu"],
            "TFLOP/s/GPU",
            source=r["source"],
        )


def korthikanti(data: Path) -> Iterator[Case]:
    """Korthikanti et al. 2022, table 5."""
    keep = [
        "model",
        "layers",
        "hidden",
        "heads",
        "tensor_par",
        "pipeline_par",
        "gpus",
        "global_batch",
        "micro_batch",
        "interleave",
        "mode",
    ]
    for r in rows(data, "korthikanti_table5_iteration_time"):
        yield case(
            "a100-80-sxm",
            {k: r[k] for k in keep},
            "measured_iteration_s",
            r["measured_iteration_s"],
            "s",
            source=r["source"],
        )


def dlperf(data: Path, software: str) -> Iterator[Case]:
    """OneFlow's report: ``oneflow`` or ``megatron`` on the same V100s."""
    metric = f"{software}_samples_s"
    return (_dlperf(r, metric, "samples/s") for r in rows(data, "oneflow_dlperf_gpt"))


def dlperf_peaks(data: Path) -> Iterator[Case]:
    """Memory in use on a V100 under OneFlow."""
    for r in rows(data, "oneflow_dlperf_gpt"):
        yield replace(_dlperf(r, "oneflow_memory_MiB", "MiB"), domain="memory/training")


def megatron_peaks(data: Path) -> Iterator[Case]:
    """Memory in use on the same V100s under Megatron-LM."""
    for r, used in zip(rows(data, "oneflow_dlperf_gpt"), MEGATRON_MIB, strict=True):
        said = r | {"megatron_memory_MiB": str(used)}
        yield replace(_dlperf(said, "megatron_memory_MiB", "MiB"), domain="memory/training")


def _dlperf(r: dict[str, str], metric: str, unit: str) -> Case:
    inputs = {k: v for k, v in r.items() if k not in ("device", "dtype", "source", *FIGURES)}
    return case("v100-sxm2", dict(inputs), metric, r[metric], unit, source=r["source"])


def neusight(data: Path) -> Iterator[Case]:
    """float32, forward and backward, on one device (or four, one sample each)."""
    for r in rows(data, "neusight_e2e_measured"):
        if r["mode"] != "train_fwd_bwd" or r["model"] == "switchxl4":
            continue
        four = r["option"] == "dp4"
        inputs: dict[str, object] = {
            "model": r["model"],
            "global_batch": r["batch"],
            "seq_len": r["seq_len"],
            "gpus": 4 if four else 1,
            "parallelism_4way": "DP",
        }
        yield case(
            NEUSIGHT_IDS[r["device"]],
            inputs,
            "measured_iteration_ms",
            r["e2e_ms"],
            "ms",
            source=r["source"],
        )
