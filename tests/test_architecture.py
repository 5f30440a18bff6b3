"""The table of docs/design.md, as tests: who may import what, and nothing heavy at start."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "fitwright"

LEAVES = {"errors", "units"}
STEPS = {"analyze", "select", "design", "adapt", "bench", "tune", "deliver"}
STEP_INSIDE = LEAVES | {"records", "graph", "perf", "ports"}

INSIDE: dict[str, set[str]] = {
    "errors": set(),
    "units": set(),
    "explain": {"errors"},
    "store": LEAVES,
    "records": LEAVES | {"store"},
    "ports": LEAVES | {"records", "store"},
    "graph": LEAVES | {"records", "ports"},
    "perf": LEAVES | {"records"},
    "catalog": LEAVES | {"records"},
    "validate": LEAVES | {"records", "perf", "catalog"},
    **dict.fromkeys(STEPS, STEP_INSIDE),
    "select": STEP_INSIDE | {"catalog"},
    "design": STEP_INSIDE | {"catalog"},
    "backends": LEAVES | {"records", "graph", "ports"},
    "executors": LEAVES | {"records", "ports"},
}
THIRD_PARTY: dict[str, set[str]] = {
    "errors": set(),
    "units": set(),
    "explain": set(),
    "store": {"sqlalchemy"},
    "records": {"pydantic"},
    "ports": set(),
    "graph": {"numpy", "onnx", "onnx_ir"},
    "perf": {"numpy"},
    "catalog": {"numpy", "yaml"},
    "validate": {"numpy"},
    "analyze": {"numpy", "yaml", "pydantic"},
    "select": {"numpy", "psutil"},
    "design": {"numpy"},
    "adapt": {"numpy"},
    "bench": {"numpy", "psutil"},
    "tune": {"numpy", "optuna"},
    "deliver": {"numpy", "jinja2"},
    "executors": {"numpy", "psutil", "mlperf_loadgen", "ray", "grpc"},
}
ANYTHING = {"backends", "flow", "start", "cli", "testing", "__init__", "__main__"}
HEAVY = (
    "sqlalchemy",
    "optuna",
    "ray",
    "torch",
    "tensorflow",
    "jax",
    "onnxruntime",
    "openvino",
    "nncf",
    "onnx",
    "numpy",
    "scipy",
)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Every imported module by full name, except those for the type checker only."""
    tree = ast.parse(path.read_text())
    typing_only: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.body:
                typing_only.update(ast.walk(child))
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            yield from (
                f"{node.module}.{a.name}" if node.module == "fitwright" else str(node.module)
                for a in node.names
            )


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_keep_to_the_table(path: Path) -> None:
    here = room(path)
    if here in ANYTHING - {"backends"}:
        return
    assert here in INSIDE, f"{here} is not a room of the design"
    for name in imports(path):
        top, *rest = name.split(".")
        if top == "fitwright" and rest:
            assert rest[0] in INSIDE[here] | {here}, f"{here} may not import {name}"
        elif top not in sys.stdlib_module_names and top != "fitwright" and here != "backends":
            assert top in THIRD_PARTY[here], f"{here} may not import {top}"


def test_no_room_is_in_an_import_cycle() -> None:
    edges: dict[str, set[str]] = {}
    for path in modules():
        inner = {n.split(".")[1] for n in imports(path) if n.startswith("fitwright.")}
        edges.setdefault(room(path), set()).update(inner - {room(path)})
    done: set[str] = set()
    while left := {
        r for r, needs in edges.items() if r not in done and needs & edges.keys() <= done
    }:
        done |= left
    assert done == edges.keys(), f"cycle among {sorted(edges.keys() - done)}"


@pytest.mark.parametrize("start", ["import fitwright", "import fitwright.cli.main"])
def test_nothing_heavy_is_imported_at_start(start: str) -> None:
    code = f"{start}; import sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_files_stay_under_400_lines() -> None:
    too_long = {
        str(p.relative_to(PACKAGE)): n
        for p in modules()
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert too_long == {}


def test_no_broad_except_hides_a_fault() -> None:
    """`except Exception` is allowed only at the edge of a child process or user code."""
    edges = {"executors/child.py", "analyze/user_code.py", "cli/main.py", "bench/metrics.py"}
    found = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    }
    assert found <= edges, f"broad except in {sorted(found - edges)}"
