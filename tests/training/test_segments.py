from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from made_segments import CLASSES, SHAPES, write_segments
from mertools.dataset.data import Joined
from mertools.dataset.segments import Objective, SegmentSet, join_segments, open_batches

from mertools.dataset import segments
from mertools.errors import SchemaError, UsageError

KINDS = tuple(SHAPES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_segments(tmp_path)
    return tmp_path


def join(folder: Path, objective: Objective = "hard") -> Joined[SegmentSet]:
    paths = [folder / "features.h5"]
    return join_segments(paths, str(folder / "labels.csv"), "arousal", KINDS, objective)


def test_soft_learns_from_dropped_tracks_too_and_neither_from_test(folder: Path) -> None:
    hard, soft = join(folder), join(folder, "soft")
    assert hard.training_set.kept.all()
    assert (hard.n_train, hard.n_test, hard.n_dropped) == (16, 4, 4)
    assert (soft.n_train, soft.n_test, soft.n_dropped) == (20, 4, 0)
    kept = soft.training_set.kept
    ids = soft.training_set.track_ids
    assert [name for name, k in zip(ids, kept, strict=True) if k] == list(
        hard.training_set.track_ids
    )
    test = {f"t{i:02}" for i in range(24) if i % 6 == 5}
    assert not test & set(ids)
    np.testing.assert_allclose(soft.training_set.distributions.sum(axis=1), 1)
    assert hard.training_set.digest != soft.training_set.digest


def test_features_are_the_same_from_memory_and_in_batches(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = join(folder).training_set
    assert data.classes == CLASSES
    rows = np.array([5, 0, 5, 31, 7])
    kept = open_batches(data.stored, 1)
    monkeypatch.setattr(segments, "SHARE_OF_MEMORY", 0)
    read = open_batches(data.stored, 2)
    with h5py.File(folder / "features.h5", locking=False) as file:
        ids = file["segments/segment_id"].asstr()[...].tolist()
        places = [ids.index(data.row_ids[row]) for row in rows]
        for kind, one, other in zip(KINDS, kept.read(rows), read.read(rows), strict=True):
            expected = np.stack([file["features"][kind][place] for place in places])
            np.testing.assert_array_equal(one, expected)
            np.testing.assert_array_equal(other, expected)
            assert other.dtype == expected.dtype


def test_features_that_have_changed_are_read_anew(folder: Path) -> None:
    before = join(folder).training_set
    with h5py.File(folder / "features.h5", "a", locking=False) as file:
        file["features/mel"][...] += 1
    after = join(folder).training_set
    assert after.stored == before.stored
    assert after.digest != before.digest
    with h5py.File(folder / "features.h5", locking=False) as file:
        ids = file["segments/segment_id"].asstr()[...].tolist()
        expected = file["features/mel"][ids.index(after.row_ids[0])]
    read = open_batches(after.stored, 1).read(np.array([0]))[KINDS.index("mel")]
    np.testing.assert_array_equal(read[0], expected)


def test_features_that_are_no_numbers_are_refused_by_the_segments_name(folder: Path) -> None:
    with h5py.File(folder / "features.h5", "a") as file:
        file["features/note"][3, 2, 1] = np.nan
    with pytest.raises(SchemaError, match="t01_1"):
        join(folder)


def test_a_kind_that_is_missing_is_named(tmp_path: Path) -> None:
    write_segments(tmp_path, kinds=("mel",))
    with pytest.raises(UsageError, match="holds no onset features"):
        join(tmp_path)
