from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_datasets import make_dataset
from mertools.dataset.folds import assign_folds, share_folds
from mertools.errors import UsageError

CLASSES = ("a", "b")
IDS = [f"t{i}" for i in range(20)]
Y = np.arange(20) % 2
KEPT = np.arange(20) % 5 != 0


def share(
    path: Path | None, ids: list[str] = IDS, n_folds: int = 3, seed: int = 0, **changes: Any
) -> list[int]:
    (folds,) = share_repeats(path, 1, ids, n_folds, seed, **changes)
    return folds


def share_repeats(
    path: Path | None,
    n_repeats: int,
    ids: list[str] = IDS,
    n_folds: int = 3,
    seed: int = 0,
    **changes: Any,
) -> list[list[int]]:
    n = len(ids)
    data = make_dataset(ids, Y[:n], classes=CLASSES, kept=KEPT[:n], **changes)
    return [folds.tolist() for folds in share_folds(path, data, n_folds, n_repeats, seed)]


def test_tracks_that_are_not_scored_do_not_move_the_others() -> None:
    folds = np.array(share(None))
    alone = assign_folds([name for name, k in zip(IDS, KEPT, strict=True) if k], Y[KEPT], 3, 0)
    np.testing.assert_array_equal(folds[KEPT], alone)
    assert set(folds[~KEPT].tolist()) == {0, 1, 2}


def test_folds_are_written_once_and_then_read(tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    written = share(path)
    assert share(path, seed=1) == written != share(None, seed=1)
    assert path.read_text().splitlines()[:2] == ["track_id,fold", f"t0,{written[0] + 1}"]


def test_a_track_that_is_not_scored_needs_no_fold(tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    written = share(path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("t0,")))
    assert share(path) == written
    path.write_text("".join(line for line in lines if not line.startswith("t1,")))
    with pytest.raises(UsageError, match="no fold for track t1"):
        share(path)


def test_another_number_of_folds_is_refused(tmp_path: Path) -> None:
    share(tmp_path / "folds.csv")
    with pytest.raises(UsageError, match="has the folds 1, 2, 3 for these tracks, not 1 to 4"):
        share(tmp_path / "folds.csv", n_folds=4)


def test_repetitions_have_other_folds_and_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    repeats = share_repeats(path, 3)
    assert len({tuple(folds) for folds in repeats}) == 3
    assert repeats[0] == share(None)
    lines = path.read_text().splitlines()
    assert lines[:2] == ["track_id,fold,repeat", f"t0,{repeats[0][0] + 1},1"]
    assert len(lines) == 1 + 3 * 20
    assert share_repeats(path, 3, seed=7) == repeats
    assert share_repeats(path, 2, seed=7) == repeats[:2]
    with pytest.raises(UsageError, match="has 3 of 4 repetitions"):
        share_repeats(path, 4)


def test_copies_are_in_the_fold_of_their_original_and_not_in_the_table(tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    ids = [*IDS, "a copy of t3", "z of t3"]
    copies = {"a copy of t3": "t3", "z of t3": "t3"}
    y, kept = np.append(Y, [1, 1]), np.append(KEPT, [True, True])
    data = make_dataset(ids, y, classes=CLASSES, kept=kept, originals=copies)
    (folds,) = share_folds(path, data, 3, 1, 0)
    assert folds[:20].tolist() == share(None)  # the others' folds do not depend on copies
    assert folds[20] == folds[21] == folds[3]
    assert "of t3" not in path.read_text()
    (read,) = share_folds(path, data, 3, 1, 5)
    np.testing.assert_array_equal(read, folds)


def test_groups_stay_together_and_a_table_that_parts_them_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    groups = {name: f"artist {i // 2}" for i, name in enumerate(IDS)}
    folds = share(None, groups=groups)
    assert folds[::2] == folds[1::2]
    share(path)
    with pytest.raises(UsageError, match=r"puts relatives of t.* into several folds"):
        share(path, groups=groups)


def test_tracks_for_validation_are_in_no_fold(tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    validation = np.arange(20) % 7 == 1
    folds = np.array(share(path, validation=validation))
    assert (folds[validation] == -1).all()
    assert set(folds[~validation].tolist()) == {0, 1, 2}
    named = {line.partition(",")[0] for line in path.read_text().splitlines()[1:]}
    assert named == {name for name, marked in zip(IDS, validation, strict=True) if not marked}


def test_numbers_are_spread_by_their_quantiles() -> None:
    numbers = np.random.default_rng(0).permutation(np.arange(100.0))
    data = make_dataset([f"{i:03}" for i in range(100)], numbers=numbers, high=99.0)
    (folds,) = share_folds(None, data, 5, 1, 0)
    for tenth in range(10):
        within = folds[(numbers >= 10 * tenth) & (numbers < 10 * (tenth + 1))]
        assert np.bincount(within, minlength=5).tolist() == [2] * 5
    with pytest.raises(UsageError, match="there are only 100 tracks"):
        share_folds(None, data, 51, 1, 0)


def test_no_folds_are_one_for_all() -> None:
    assert share(None, n_folds=0) == [0] * 20
