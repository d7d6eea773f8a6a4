"""What moves the bundled models' predictions, on music that they learnt from and from elsewhere.

A part's share of the spread is its covariance with the prediction over the prediction's variance:
the shares of all parts sum to 1.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.explanation_rows import BASELINE, Explanation
from mertools.artifacts.tables import read_table

Parts = dict[str, NDArray[np.float64]]
"""What each part adds to the predictions of a target: (n_tracks,)."""


def main() -> None:
    """Print a table for each target, with columns for each file of explanations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "files", nargs="+", type=Path, help="explanations.csv, a kind of music each"
    )
    music = {path.stem: gather(path) for path in parser.parse_args().files}
    first = next(iter(music.values()))
    for target, parts in first.items():
        print(f"| {target} |" + "".join(f" {name} | mean | of the spread |" for name in music))
        print("| --- |" + " --- | --- | --- |" * len(music))
        for part in parts:
            cells = [describe(part, of[target]) for of in music.values()]
            print(f"| `{part}` | {' | '.join(cells)} |")
        print()


def gather(path: Path) -> dict[str, Parts]:
    """Read what moved the predictions of whole tracks, by target and part."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in read_table(str(path), Explanation):
        if row.level == "track" and row.contribution is not None:
            found[row.target][row.part].append(row.contribution)
    return {
        target: {part: np.array(values) for part, values in parts.items()}
        for target, parts in found.items()
    }


def describe(part: str, parts: Parts) -> str:
    """Give a part's mean absolute contribution, its mean, and its share of the spread."""
    added = parts[part]
    mean = f"{round(added.mean(), 2) + 0.0:+.2f}"
    if part == BASELINE:
        return f" | {mean} | "
    predicted = np.sum(list(parts.values()), axis=0)
    share = np.cov(added, predicted)[0, 1] / predicted.var(ddof=1)
    return f"{np.abs(added).mean():.2f} | {mean} | {round(share, 2) + 0.0:.2f}"


if __name__ == "__main__":
    main()
