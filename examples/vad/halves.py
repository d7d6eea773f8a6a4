"""Halve the listeners of each track, so that words of some can be held against ratings of others.

    halves.py LISTENERS ANNOTATIONS OUT

LISTENERS is a table by track_id and annotator_id, in which a column that is 0 or 1 says whether a
listener chose the tag of its name. ANNOTATIONS are their ratings. A track's listeners go by turns
into the halves a and b; OUT gets tags-a.csv, tags-b.csv, annotations-a.csv and annotations-b.csv.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter, defaultdict
from pathlib import Path

KEYS = ("track_id", "annotator_id")
NO_TAGS = ("genre", "mood", "liked", "disliked", "age", "gender", "mother_tongue")


def main() -> None:
    """Write the halves."""
    listeners, annotations, out = map(Path, sys.argv[1:])
    half: dict[str, str] = {}
    n_of_track: Counter[str] = Counter()
    weights: dict[str, dict[tuple[str, str], int]] = {"a": defaultdict(int), "b": defaultdict(int)}
    for row in read(listeners):
        track, listener = (row[key] for key in KEYS)
        half[listener] = "ab"[n_of_track[track] % 2]
        n_of_track[track] += 1
        for tag, chosen in row.items():
            if tag not in (*KEYS, *NO_TAGS) and chosen == "1":
                weights[half[listener]][track, tag] += 1
    ratings = read(annotations)
    for name, tags in weights.items():
        write(
            out / f"tags-{name}.csv",
            ["track_id", "tag", "weight"],
            [[*key, str(weight)] for key, weight in sorted(tags.items())],
        )
        rows = [list(row.values()) for row in ratings if half[row["annotator_id"]] == name]
        write(out / f"annotations-{name}.csv", list(ratings[0]), rows)


def read(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()
