from __future__ import annotations

from collections import defaultdict
from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_ratings import annotations_of, collect

from mertools.errors import SchemaError, UsageError
from mertools.labels.aggregate import TargetLabels, aggregate
from mertools.labels.classes import EVERY_TARGET, Scales
from mertools.labels.groups import Relatives
from mertools.labels.ratings import Rating, Ratings
from mertools.labels.splits import find_well_rated, split_at_random, split_by_file


def unanimous(classes: list[tuple[int, ...]]) -> tuple[Ratings, list[TargetLabels]]:
    """Make tracks whose classes for t0, t1, ... are given; 0 is a rating that is not kept."""
    rows = [
        Rating(f"track{track:04}", annotator, f"t{target}", rating)
        for track, levels in enumerate(classes)
        for target, level in enumerate(levels)
        for annotator, rating in (("a", level or 1), ("b", level or 3))
    ]
    ratings = collect(rows)
    scales = Scales(thresholds={EVERY_TARGET: (1.66, 2.33)})
    return ratings, list(aggregate(ratings, scales, {EVERY_TARGET: 0.7}))


def drawn(labels: list[TargetLabels], n_tracks: int, fraction: float, seed: int) -> np.ndarray:
    """Draw the test part of tracks of which each is a unit of its own."""
    return split_at_random(labels, np.arange(n_tracks), fraction, 0.0, seed) == "test"


joint_classes = st.integers(1, 4).flatmap(
    lambda n_targets: st.lists(st.tuples(*[st.integers(0, 3)] * n_targets), min_size=1, max_size=80)
)


@given(joint_classes, st.sampled_from([0.0, 0.1, 0.2, 0.25, 1 / 3, 0.5, 1.0]), st.integers(0, 99))
def test_every_combination_of_classes_gives_its_share(
    classes: list[tuple[int, ...]], fraction: float, seed: int
) -> None:
    ratings, labels = unanimous(classes)
    test = drawn(labels, len(ratings.track_ids), fraction, seed)
    groups = defaultdict(list)
    for chosen, combination in zip(test.tolist(), classes, strict=True):
        for depth in range(len(combination) + 1):  # all tracks, the first target's classes, ...
            groups[combination[:depth]].append(chosen)
    for group in groups.values():
        share = len(group) * fraction
        assert floor(share - 1e-9) <= sum(group) <= ceil(share + 1e-9)


def test_the_second_target_s_classes_give_their_share_too() -> None:
    rng = np.random.default_rng(7)
    classes = [tuple(pair) for pair in rng.integers(0, 4, (300, 2)).tolist()]
    ratings, labels = unanimous(classes)
    test = drawn(labels, len(ratings.track_ids), 0.2, seed=1)
    assert test.sum() == 60
    for level in range(4):
        members = np.array([combination[1] == level for combination in classes])
        assert abs(test[members].sum() - 0.2 * members.sum()) <= 4


def test_the_seed_alone_decides() -> None:
    ratings, labels = unanimous([(1, 2)] * 40 + [(3, 3)] * 40)
    first, same, other = (drawn(labels, 80, 0.25, seed) for seed in (1, 1, 2))
    assert first.tolist() == same.tolist() != other.tolist()
    assert ratings.track_ids[0] == "track0000"


def test_many_annotators_make_a_test_track_for_all_targets() -> None:
    rated = {"arousal": {"x": [1] * 4, "y": [1] * 5}, "valence": {"x": [1] * 2, "y": [1], "z": [2]}}
    rows = annotations_of(rated)
    assert find_well_rated(collect(rows), 5).tolist() == [False, True, False]
    # Each of five rates x, but none of its targets has five ratings.
    rows.append(Rating("x", "another", "valence", 2.0))
    assert find_well_rated(collect(rows), 5).tolist() == [True, True, False]


def test_a_split_from_a_file(tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    table.write_text('split,title,track_id\ntest,"a, b",y\ntrain,,x\n,,z\ntest,,y\ntest,,z\n')
    assert split_by_file(str(table), ["x", "y", "z"], Relatives()).tolist() == [
        "train",
        "test",
        "test",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("track_id,part\nx,test\n", "no column split"),
        ("track_id,split\nx,dev\n", "line 2, column split is 'dev'"),
        ("track_id,split\nx,test\nx,train\n", "line 3 puts track x into train as well"),
        ("track_id,split\nx,test\n", "no split for 1 of 2 rated tracks, such as y"),
        ("track_id,split\nx\n", "line 2 has not as many cells"),
        ("track_id,split\nx,test,more\n", "line 2 has not as many cells"),
        ('track_id,split\n"x"y,test\n', "line 2 is not CSV"),
        ("", "no split for 2 of 2"),
    ],
)
def test_a_file_that_gives_no_split(tmp_path: Path, content: str, problem: str) -> None:
    table = tmp_path / "split.csv"
    table.write_text(content)
    with pytest.raises(SchemaError, match=problem):
        split_by_file(str(table), ["x", "y"], Relatives())


def test_a_split_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        split_by_file(str(tmp_path / "none.csv"), ["x"], Relatives())
