"""Devices by the names that published tables give them: brands, memories and forms in any order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from fitwright.catalog.sheets import load_sheets
from fitwright.records.sheet import Sheet

_ALSO: Mapping[str, str] = {
    "a100sxm": "a100-80-sxm",  # as aiconfigurator names its systems
    "b60": "arc-pro-b60",
    "rtxpro6000server": "rtx-pro-6000-se",
    "rtxpro6000blackwellserveredition": "rtx-pro-6000-se",
    "rtxpro6000blackwellmaxqworkstationedition": "rtx-pro-6000-maxq",
    "maxsunmsarcprob60dualturbo": "arc-pro-b60",  # a card with two of them
    "bcm2835armcortexa72r0p3": "rpi4",
    "bcm2711": "rpi4",
    "raspberrypi4b": "rpi4",
    "raspberrypi4modelb": "rpi4",
    "raspberrypi5": "rpi5",
    "armcortexa78aev8.2": "jetson-orin-cpu",
    "coraldevboard": "coral-edgetpu",
    "coralusb+desktop": "coral-edgetpu",
    "edgetpu": "coral-edgetpu",
    "speedai240preview": "untether-240",
    "pynqz2": "pynq-z1",
    "artix7c7a100tcsg3241": "arty-a7-100t",
    "alveou50lv": "alveo-u50",
    "tpuv5lite": "tpu-v5e",
    "tpuv5litepod": "tpu-v5e",
    "tpuv6": "tpu-v6e",
    "trillium": "tpu-v6e",
    "tputrillium": "tpu-v6e",
    "ironwood": "tpu-v7x",
}
"""What no rule below reads; keys without makers, memories, forms and punctuation."""
_WRITTEN = (
    (r"gh200[ -]480 ?gb", "gh200 96gb"),  # nvidia-smi adds the memory of the processor
    (r"grace hopper superchip|ai accelerator|(?<=ada) generation|unspecified|habana", " "),
    (r"cloud tpu", "tpu"),
    (r"^\s*\d+ ?x ?(?=[a-z])", " "),
)
"""Phrases that would be read wrongly word by word, and a number of devices in front."""
_NOISE = re.compile(
    r"nvidia|amd|intel|qualcomm|google|aws|amazon|xilinx|untetherai|untether|rockchip|amlogic"
    r"|rebellions|rbln|geforce|radeon|instinct|tesla|apple|platinum|core|kria|versal"
    r"|graphics|gpu|gpus|cpu|npu|hexagon|accelerators?|card|module|chip|processor|platform|hhhl"
    r"|tensor|cts|oam|x\d+|each|(?:l?p?ddr|gddr|hbm)\d?[a-z]*|instance|data|center"
)
_FORM = re.compile(r"(sxm|pcie|nvl)\d?")
_CAPACITY = re.compile(r"\b(\d+(?:\.\d+)?)[ _-]?(gib|gb|g|c)\b")
_PARTS = ("arm-mcu", "xtensa-mcu", "arm-cpu", "amd-fpga", "lattice-fpga")
"""Families whose devices go by part numbers that end in package and speed: STM32H7A3ZIT6Q."""
_NEAR = 1.08
"""Capacities are rounded, or told without what firmware keeps: 180 and 192 GB of a B200."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a name says of a device.

    Attributes:
        key: the product, without makers, memory and form.
        form: ``sxm``, ``pcie`` or ``nvl``; empty where nothing is said.
        capacities: of the memory in GB; several where one entry stands for them all.
        cores: of an Apple GPU, which is sold in several cuts.
        cpu: the processor of a chip that has a GPU too is meant.
    """

    key: str
    form: str = ""
    capacities: tuple[float, ...] = ()
    cores: int = 0
    cpu: bool = False


def read_name(text: str) -> Said:
    """A name taken apart: ``NVIDIA A100-SXM4-80GB`` is the product a100, sxm, 80 GB.

    What follows a comma, a semicolon or ``@`` tells the surroundings and is left out.
    """
    low = re.sub(r"\((r|tm)\)|[®™_\[\]]", " ", text.lower())
    cores = re.search(r"(\d+)[- ]cores?\b", low)
    cpu = bool(re.search(r"\bcpu\b|\bneon\b", low))
    low = re.sub(r"\([^)]*\)|[,;@].*$", " ", low)
    for phrase, instead in _WRITTEN:
        low = re.sub(phrase, instead, low)
    low = re.sub(r"\b\d+(?:st|nd|rd|th) gen\b|\b\d+[- ]cores?\b", " ", low)
    slashed = [float(m[1]) for m in re.finditer(r"\b(\d+)/(?=\d+ ?gb)", low)]
    found = _CAPACITY.findall(low)
    low = _CAPACITY.sub(" ", re.sub(r"\b\d+/(?=\d+ ?gb)|\d[\d.]* ?[tg]b/s", " ", low))
    words = [w for w in re.split(r"[\s\-/:]+", low) if w]
    forms = [m[1] for w in words if (m := _FORM.fullmatch(w))]
    kept = [w for w in words if not _FORM.fullmatch(w) and not _NOISE.fullmatch(w)]
    virtual = "pcie" if found and found[0][1] == "c" else ""  # a vGPU such as H100-80C
    return Said(
        key="".join(kept),
        form=forms[0] if forms else virtual,
        capacities=(*slashed, *(float(number) for number, _ in found)),
        cores=int(cores[1]) if cores else 0,
        cpu=cpu,
    )


@cache
def _known() -> Mapping[str, tuple[tuple[Said, Sheet], ...]]:
    """By product: what the catalogue's own names say of the devices that share it."""
    found: dict[str, dict[str, tuple[Said, Sheet]]] = {}
    for sheet in load_sheets().values():
        said = read_name(sheet.name)
        own = read_name(re.sub(r"-(?=(?:80|40|32|96|144)(?:-|$))", " ", sheet.id)).key
        for key in (said.key, own):
            found.setdefault(key, {})[sheet.id] = (said, sheet)
    return {key: tuple(of.values()) for key, of in found.items() if key}


def named_in_a_table(text: str) -> Sequence[Sheet]:
    """The devices that such a name can mean: one, none, or several that it does not tell apart."""
    said = read_name(text)
    whole = said.key + said.form if not said.capacities else said.key
    if alias := _ALSO.get(whole) or _ALSO.get(said.key):
        return (load_sheets()[alias],)
    if found := _agreeing(said):
        return found
    for inside in re.findall(r"\(([^)]*)\)", text):
        if found := _agreeing(read_name(inside)):
            return found
    return _by_part(text)


def _agreeing(said: Said) -> Sequence[Sheet]:
    there = _known().get(said.key, ())
    there = tuple((own, s) for own, s in there if own.form in ("", said.form) or not said.form)
    there = tuple((own, s) for own, s in there if said.cores == 0 or _cut_agrees(said, s))
    if len(there) > 1:  # a chip's processor has a sheet of its own
        there = tuple((own, s) for own, s in there if said.cpu == (s.kind == "cpu"))
    fits = tuple((own, s) for own, s in there if _capacity_off(said, own, s) <= _NEAR)
    if len(fits) < 2:
        return tuple(s for _, s in fits)
    best = min(_capacity_off(said, own, s) for own, s in fits)
    fits = tuple((own, s) for own, s in fits if _capacity_off(said, own, s) <= best)
    return _usual(said, tuple(s for _, s in fits))


def _usual(said: Said, fits: tuple[Sheet, ...]) -> Sequence[Sheet]:
    """Of devices that the form or a variant tells apart: the one whose id says no more than the
    name does, else the SXM module where all hold as much memory (tables leave the form out)."""
    plain = [s for s in fits if said.form and s.id.replace("-", "") == said.key + said.form]
    if plain:
        return plain
    sizes = {round(s.memory_bytes.value / 1e9) for s in fits if s.memory_bytes}
    modules = [s for s in fits if "sxm" in s.id]
    return modules if len(sizes) == 1 and len(modules) == 1 else fits


def _capacity_off(said: Said, own: Said, sheet: Sheet) -> float:
    """Ratio of the memory said to the device's; 1 where none is said or it is the owner's
    choice (processors, FPGA boards, Apple)."""
    if not said.capacities or sheet.kind in ("cpu", "fpga") or sheet.family == "apple-gpu":
        return 1.0
    there = own.capacities or tuple(
        (sheet.memory_bytes.value / unit for unit in (1e9, 2**30)) if sheet.memory_bytes else ()
    )
    pairs = [(a, b) for a in said.capacities for b in there]
    return min((max(a / b, b / a) for a, b in pairs), default=1.0)


def _cut_agrees(said: Said, sheet: Sheet) -> bool:
    """Apple sells one chip with more and with fewer GPU cores; others' cores are not told."""
    own = re.search(r"\((\d+)-core gpu\)", sheet.name.lower())
    return own is None or int(own[1]) == said.cores


def _by_part(text: str) -> Sequence[Sheet]:
    """By a part number in it, with or without package and speed at its end."""
    words = re.findall(r"[a-z]*\d[a-z\d]*", text.lower())
    found: dict[str, tuple[int, Sheet]] = {}
    for word, (part, sheet) in ((w, p) for w in words for p in _parts()):
        bare = re.sub(r"^xc(?=vu|zu|u\d)", "", word)
        if bare.startswith(part) or word.startswith(part):
            found[sheet.id] = max(found.get(sheet.id, (0, sheet)), (len(part), sheet), key=_length)
    longest = max((length for length, _ in found.values()), default=0)
    return tuple(sheet for length, sheet in found.values() if length == longest)


def _length(found: tuple[int, Sheet]) -> int:
    return found[0]


def _parts() -> Iterator[tuple[str, Sheet]]:
    for sheet in load_sheets().values():
        if sheet.family in _PARTS:
            words = re.findall(r"[a-z]*\d[a-z\d]*", f"{sheet.id} {sheet.name}".lower())
            long = (w for w in words if re.search(r"[a-z].*\d", w))
            yield from ((w, sheet) for w in long if len(w) >= (4 if w.startswith("vu") else 5))
