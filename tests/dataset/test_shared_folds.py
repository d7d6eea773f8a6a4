from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mertools.dataset.folds import assign_folds, share_folds
from mertools.errors import UsageError
from mertools.training.scores import mean_interval

IDS = [f"t{i}" for i in range(20)]
Y = np.arange(20) % 2
KEPT = np.arange(20) % 5 != 0


def share(path: Path | None, ids: list[str] = IDS, n_folds: int = 3, seed: int = 0) -> list[int]:
    n = len(ids)
    folds = share_folds(path, ids, Y[:n], KEPT[:n], ["a", "b"], n_folds, seed)
    return list(folds.tolist())


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


def test_the_interval_is_students() -> None:
    from scipy.stats import sem, t

    values = [0.5, 0.61, 0.47, 0.7, 0.55]
    expected = t.interval(0.95, 4, np.mean(values), sem(values))
    np.testing.assert_allclose(mean_interval(values), expected)
