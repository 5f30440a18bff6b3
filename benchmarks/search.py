"""Does the search find the best of the grid with a fifth of its trials?

    python benchmarks/search.py --measure       # minutes per model, on a quiet machine
    python benchmarks/search.py --write-docs    # replays the search on what was measured

Two CNNs, two encoders and a recurrent network of `benchmarks/models.py`. For each, the whole
grid of candidates is measured once (`search_grid.py`); the product's search then runs on that
table, and random search with the same number of trials beside it, twenty seeds each.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pages import write_block
from search_grid import Grid, measure, measure_again, walked
from search_replay import Replayed, at_random, replay

from fitwright.start import Silent, local_tools

HERE = Path(__file__).parent
MODELS = ("mobilenet-v2", "digits-cnn", "minilm-l6", "digits-transformer", "lstm-tagger")
NUM_SEEDS = 20
SHARE = 0.2  # of the grid's trials
GAP = 0.03
NUM_SETTLED, MOST_PASSES = 20, 4


@dataclass(frozen=True, kw_only=True)
class Score:
    """One model: how near to the best of the grid, and at what cost.

    Attributes:
        gaps, random_gaps: of each seed, 1 - speed over the best speed of the grid; random
            search had as many trials as the search of the same seed.
    """

    grid: Grid
    runs: tuple[Replayed, ...]
    gaps: tuple[float, ...]
    random_gaps: tuple[float, ...]

    @property
    def share(self) -> float:
        """Trials used at most, of the grid's."""
        return max(run.num_trials for run in self.runs) / len(self.grid.rows)

    @property
    def holds(self) -> bool:
        """Whether every seed came within 3 % by a fifth of the grid's trials."""
        return self.share <= SHARE and max(self.gaps) <= GAP


def scored(grid: Grid, model: Path) -> Score:
    """Twenty replays of the search, and random search with equal budget."""
    tools = local_tools(Silent())
    found = walked(model, tools)
    best = max(row.speed or 0.0 for row in grid.rows)
    runs = tuple(replay(grid, found, tools, seed=seed) for seed in range(NUM_SEEDS))
    speeds = {row.key: row.speed or 0.0 for row in grid.rows}
    return Score(
        grid=grid,
        runs=runs,
        gaps=tuple(1 - speeds[run.best] / best for run in runs),
        random_gaps=tuple(
            1 - at_random(grid, num_trials=run.num_trials, seed=seed) / best
            for seed, run in enumerate(runs)
        ),
    )


def settled(grid: Grid, model: Path) -> Grid:
    """The fastest of the grid, and where the search ends on it, measured in the same minutes.

    All of them anew whenever another one comes in: what was measured in other minutes, beside
    another process of the reference, is up to a tenth off where runs are short.
    """
    together: set[str] = set()
    for _ in range(MOST_PASSES):
        fastest = sorted(grid.rows, key=lambda row: -(row.speed or 0.0))[:NUM_SETTLED]
        wanted = {run.best for run in scored(grid, model).runs} | {row.key for row in fastest}
        if wanted <= together:
            break
        together |= wanted
        grid = measure_again(model, local_tools(Silent()), grid, keys=sorted(together))
    return grid


def table(scores: list[Score]) -> str:
    """Markdown."""
    lines = [
        "| model | grid | trials of the search (most) | share | gap to the best: median, worst "
        "| random search, equal trials: median, worst | holds |",
        "|---|---|---|---|---|---|---|",
    ]
    for s in scores:
        trials = [run.num_trials for run in s.runs]
        lines.append(
            f"| {s.grid.model} | {len(s.grid.rows)} | {median(trials):.0f} ({max(trials)}) "
            f"| {s.share:.0%} | {median(s.gaps):.1%}, {max(s.gaps):.1%} "
            f"| {median(s.random_gaps):.1%}, {max(s.random_gaps):.1%} "
            f"| {'yes' if s.holds else 'no'} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, replay, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--measure", action="store_true", help="measure grids that are missing")
    parser.add_argument(
        "--again", action="store_true", help="measure the fastest, and what was found, again"
    )
    parser.add_argument("--only", nargs="*", default=MODELS, help="some of the models")
    parser.add_argument("--models", type=Path, default=HERE / ".work" / "models")
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--block", default="search", help="of docs/benchmarks.md")
    arguments = parser.parse_args()
    scores = []
    for name in arguments.only:
        model, file = arguments.models / f"{name}.onnx", HERE / ".work" / "grid" / f"{name}.json"
        if not file.is_file() and arguments.measure:
            measure(model, local_tools(Silent())).save(file)
        if file.is_file() and (arguments.measure or arguments.again):
            settled(Grid.load(file), model).save(file)
        if file.is_file():
            scores.append(scored(Grid.load(file), model))
        else:
            print(f"{name}: no grid yet; run with --measure")
    text = table(scores)
    print(text)
    if arguments.write_docs:
        write_block(arguments.block, text)


if __name__ == "__main__":
    main()
