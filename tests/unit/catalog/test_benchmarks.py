"""Public benchmarks are found by the names that people write."""

from __future__ import annotations

import pytest

from fitwright.catalog.benchmarks import find_benchmark, load_benchmarks
from fitwright.catalog.tiny import find_tiny


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("resnet50", "resnet50"),
        ("ResNet-50", "resnet50"),
        ("bert-99.9", "bert-99.9"),
        ("SDXL", "stable-diffusion-xl"),
        ("3D-UNet-99", "3d-unet-99"),
    ],
)
def test_case_and_punctuation_do_not_matter(words: str, name: str) -> None:
    found = find_benchmark(words)
    assert found is not None
    assert found.name == name


def test_names_are_unique_and_every_row_has_a_source() -> None:
    names = [b.name for b in load_benchmarks()]
    assert len(names) == len(set(names))
    assert all(b.source for b in load_benchmarks())


@pytest.mark.parametrize(
    ("words", "name"), [("ic", "ic"), ("ic/CNV-W1A1", "ic"), ("DS-CNN", "kws"), ("chess", None)]
)
def test_tiny_networks_are_found_without_their_variant(words: str, name: str | None) -> None:
    found = find_tiny(words)
    assert (found.name if found else None) == name
