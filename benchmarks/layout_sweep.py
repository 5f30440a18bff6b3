"""Times the sweep of every legal layout of a 1-trillion-parameter training on 3,072 A100s.

python benchmarks/layout_sweep.py
"""

from __future__ import annotations

import time

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.catalog.transformers import find_transformer
from fitwright.perf.training.answer import Footing, footing
from fitwright.perf.training.layout import Layout, shape_of
from fitwright.perf.training.sweep import Priced, sweep

DEVICES, BATCH = 3072, 3072


def line(found: Priced) -> str:
    a = found.layout
    split = "+sp" if a.sequence_parallel else ""
    return (
        f"{found.step_s:7.1f} s {found.peak_bytes / 1e9:6.1f} GB  tp {a.tp:2d} pp {a.pp:3d} "
        f"dp {a.dp:4d} v {a.interleave} b {a.micro_batch} recompute {a.recompute}{split} "
        f"zero {a.zero}"
    )


def main() -> None:
    sheet, model = find_sheet("a100-80-sxm"), find_transformer("Megatron-1T")
    assert model is not None and sheet.memory_bytes is not None
    table = (*evidence("training"), *evidence("collectives"))
    shape = shape_of(model, seq_len=2048, dropout=True)
    found = footing(sheet, table, software="megatron-2022", dtype="float16", layout=Layout())
    assert isinstance(found, Footing)
    start, busy = time.perf_counter(), time.process_time()
    swept = sweep(shape, found, devices=DEVICES, global_batch=BATCH)
    best = swept.best(10, memory_bytes=sheet.memory_bytes.value)
    front = swept.front()
    wall, spent = time.perf_counter() - start, time.process_time() - busy
    print(f"{len(swept)} layouts in {wall:.2f} s ({spent:.2f} s of one core)")
    print(f"the fastest that fit in {sheet.memory_bytes.value / 1e9:.0f} GB:")
    print("\n".join(line(p) for p in best))
    print(f"the front of time and memory has {len(front)} layouts, from\n{line(front[0])} to")
    print(line(front[-1]))


if __name__ == "__main__":
    main()
