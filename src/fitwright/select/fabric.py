"""What an FPGA holds on the chip."""

from __future__ import annotations

from fitwright.records.sheet import Sheet

BRAM36_BYTES, URAM_BYTES = 4608, 36864  # 36 Kibit and 288 Kibit, parity included (AMD UG573)


def onchip_bytes(sheet: Sheet) -> float:
    """Block memory of an FPGA, bytes."""
    blocks = {name: fact.value for name, fact in sheet.fabric.items()}
    counted = blocks.get("bram36", 0.0) * BRAM36_BYTES + blocks.get("uram", 0.0) * URAM_BYTES
    published = sheet.onchip_bytes.value if sheet.onchip_bytes else 0.0
    return max(counted, published)
