"""Features joined with labels, with copies' originals, with groups, and with what tracks have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from made_segments import (
    CLASSES,
    SHAPES,
    class_label,
    number_label,
    write_labels,
    write_segments,
    write_track_vectors,
    write_vectors,
)
from mertools.dataset import stored
from mertools.dataset.dataset import Dataset, Joined
from mertools.dataset.join import Request, join
from mertools.dataset.relatives import find_originals, number_units, read_groups
from mertools.dataset.vectors import load_vectors
from mertools.errors import SchemaError, UsageError
from mertools.targets.scale import Range, Target

KINDS = tuple(SHAPES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_segments(tmp_path)
    return tmp_path


def join_all(folder: Path, **changes: Any) -> Joined:
    paths = (folder / "features.h5",)
    request = Request(paths, str(folder / "labels.csv"), ("arousal",), KINDS)
    return join(replace(request, **changes))


def join_soft(folder: Path) -> Joined:
    return join_all(folder, keeps_disputed=True)


def test_soft_learns_from_dropped_tracks_too_and_neither_from_test(folder: Path) -> None:
    hard, soft = join_all(folder), join_soft(folder)
    assert hard.dataset.labels.kept.all()
    assert (hard.n_train, hard.n_test, hard.n_dropped) == (16, 4, 4)
    assert (soft.n_train, soft.n_test, soft.n_dropped) == (20, 4, 0)
    kept = soft.dataset.labels.kept
    ids = soft.dataset.track_ids
    assert [name for name, k in zip(ids, kept, strict=True) if k] == list(hard.dataset.track_ids)
    test = {f"t{i:02}" for i in range(24) if i % 6 == 5}
    assert not test & set(ids)
    np.testing.assert_allclose(soft.dataset.labels.distributions.sum(axis=1), 1)
    assert hard.dataset.digest != soft.dataset.digest


def test_features_are_the_same_from_memory_and_in_batches(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = join_all(folder).dataset
    assert data.classes == CLASSES
    rows = np.array([5, 0, 5, 31, 7])
    kept = data.stored.load()
    monkeypatch.setattr(stored, "SHARE_OF_MEMORY", 0)
    read = data.stored.load(2)
    with h5py.File(folder / "features.h5", locking=False) as file:
        ids = file["segments/segment_id"].asstr()[...].tolist()
        places = [ids.index(data.row_ids[row]) for row in rows]
        for kind, one, other in zip(KINDS, kept.read(rows), read.read(rows), strict=True):
            expected = np.stack([file["features"][kind][place] for place in places])
            np.testing.assert_array_equal(one, expected)
            np.testing.assert_array_equal(other, expected)
            assert other.dtype == expected.dtype


def test_features_that_have_changed_are_read_anew(folder: Path) -> None:
    before = join_all(folder).dataset
    with h5py.File(folder / "features.h5", "a", locking=False) as file:
        file["features/mel"][...] += 1
    after = join_all(folder).dataset
    assert after.stored == before.stored
    assert after.digest != before.digest
    with h5py.File(folder / "features.h5", locking=False) as file:
        ids = file["segments/segment_id"].asstr()[...].tolist()
        expected = file["features/mel"][ids.index(after.row_ids[0])]
    read = after.stored.load().read(np.array([0]))[KINDS.index("mel")]
    np.testing.assert_array_equal(read[0], expected)


def test_features_that_are_no_numbers_are_refused_by_the_segments_name(folder: Path) -> None:
    with h5py.File(folder / "features.h5", "a") as file:
        file["features/note"][3, 2, 1] = np.nan
    with pytest.raises(SchemaError, match="t01_1"):
        join_all(folder)


def test_a_kind_that_is_missing_is_named(tmp_path: Path) -> None:
    write_segments(tmp_path, kinds=("mel",))
    with pytest.raises(UsageError, match="holds no onset features"):
        join_all(tmp_path)


TRACKS = [f"t{i}" for i in range(6)]


def write_small(
    folder: Path, tracks: list[str] = TRACKS, name: str = "v.h5", **options: Any
) -> None:
    """Each track's two segments have its own number as both columns; the labels name six tracks."""
    numbers = np.arange(len(tracks), dtype=float)[:, None, None]
    write_vectors(folder / name, tracks, np.tile(numbers, (1, 2, 2)), **options)
    labels = [class_label(f"t{i}", i % 2, ("a", "b")) for i in range(6)]
    write_labels(folder / "labels.csv", labels, 2)


def join_small(folder: Path, *names: str, **changes: Any) -> Dataset:
    paths = tuple(folder / name for name in names or ("v.h5",))
    request = Request(paths, str(folder / "labels.csv"), ("arousal",), ("vectors",))
    return join(replace(request, **changes)).dataset


def relatives(data: Dataset) -> dict[str, tuple[int, bool]]:
    """Give each track's unit, and whether it is a copy."""
    return {
        name: (int(unit), bool(copy))
        for name, unit, copy in zip(data.track_ids, data.units, data.is_copy, strict=True)
    }


COPIES = {"a louder t1": "t1", "t1 slower": "t1", "a louder t1, slower": "a louder t1"}


def test_copies_belong_to_their_original_and_take_its_labels(tmp_path: Path) -> None:
    write_small(tmp_path, [*TRACKS, *COPIES], originals=COPIES)
    data = join_small(tmp_path)
    found = relatives(data)
    unit = found["t1"][0]
    assert {name for name, (of, _) in found.items() if of == unit} == {"t1", *COPIES}
    assert {name for name, (_, is_copy) in found.items() if is_copy} == set(COPIES)
    y = dict(zip(data.track_ids, data.labels.y.tolist(), strict=True))
    assert {y[name] for name in COPIES} == {1}
    assert data.scored.sum() == 6


def test_a_copy_may_have_labels_of_its_own_but_no_other_split(tmp_path: Path) -> None:
    write_small(tmp_path, [*TRACKS, *COPIES], originals=COPIES)
    labels = [class_label(f"t{i}", i % 2, ("a", "b")) for i in range(6)]
    labels[1] = replace(labels[1], split="validation")
    labels += [class_label("t1 slower", 0, ("a", "b"), split="train")]
    write_labels(tmp_path / "labels.csv", labels, 2)
    data = join_small(tmp_path)
    y = dict(zip(data.track_ids, data.labels.y.tolist(), strict=True))
    assert (y["t1 slower"], y["a louder t1"]) == (0, 1)
    marked = dict(zip(data.track_ids, data.labels.is_validation.tolist(), strict=True))
    assert {name for name, is_marked in marked.items() if is_marked} == {"t1", *COPIES}


@pytest.mark.parametrize("change", [{"split": "test"}, {"kept": False}, None])
def test_copies_are_left_out_where_their_original_is(
    tmp_path: Path, change: dict[str, Any] | None
) -> None:
    """Even where they have a label of their own."""
    write_small(tmp_path, [*TRACKS, *COPIES], originals=COPIES)
    labels = [class_label(f"t{i}", i % 2, ("a", "b")) for i in range(6)]
    if change is None:
        del labels[1]
    else:
        labels[1] = replace(labels[1], **change)
    labels += [class_label(name, 1, ("a", "b")) for name in COPIES]
    write_labels(tmp_path / "labels.csv", labels, 2)
    assert join_small(tmp_path).track_ids == ("t0", "t2", "t3", "t4", "t5")


@pytest.mark.parametrize("order", [("v.h5", "w.h5"), ("w.h5", "v.h5")])
def test_that_a_track_is_a_copy_may_be_said_in_any_file(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    """One file of several was made by a program that does not say what copies are of."""
    tracks = [*TRACKS, *COPIES]
    write_small(tmp_path, tracks, originals=COPIES)
    write_small(tmp_path, tracks, "w.h5", kind="others")
    data = join_small(tmp_path, *order, kinds=("vectors", "others"))
    assert {name for name, (_, is_copy) in relatives(data).items() if is_copy} == set(COPIES)


def test_files_that_name_different_originals_are_refused(tmp_path: Path) -> None:
    tracks = [*TRACKS, "copy"]
    write_small(tmp_path, tracks, originals={"copy": "t1"})
    write_small(tmp_path, tracks, "w.h5", kind="others", originals={"copy": "t2"})
    with pytest.raises(SchemaError, match=r"copy.*t1.*t2"):
        join_small(tmp_path, "v.h5", "w.h5", kinds=("vectors", "others"))


def test_a_file_of_copies_may_hold_copies_of_copies(tmp_path: Path) -> None:
    """What --copies names of a track that is a copy itself belongs to the first original."""
    write_small(tmp_path, [*TRACKS, *COPIES], originals=COPIES)
    write_small(tmp_path, [*TRACKS, *COPIES], "quieter.h5", originals=COPIES)
    data = join_small(tmp_path, copies=(tmp_path / "quieter.h5",))
    found = relatives(data)
    assert len(found) == 18
    of_t1 = {name for name, (unit, _) in found.items() if unit == found["t1"][0]}
    assert of_t1 == {name for track in ("t1", *COPIES) for name in (track, f"{track} copy 1")}
    assert sum(is_copy for _, is_copy in found.values()) == 12


def test_copies_are_learnt_from_where_their_original_has_no_features(tmp_path: Path) -> None:
    write_small(tmp_path, ["t0", *COPIES], originals=COPIES)
    found = relatives(join_small(tmp_path))
    assert len(found) == 4
    assert {found[name] for name in COPIES} == {(found["t1 slower"][0], True)}


def test_copies_in_a_circle_are_refused(tmp_path: Path) -> None:
    circle = {"t0": "t1", "t1": "t2", "t2": "t0"}
    write_small(tmp_path, originals=circle)
    with pytest.raises(SchemaError, match="copy of its own copy"):
        join_small(tmp_path)
    assert find_originals([]) == {}


def test_groups_hold_originals_together_with_their_copies(tmp_path: Path) -> None:
    write_small(tmp_path, [*TRACKS, *COPIES], originals=COPIES)
    data = join_small(tmp_path, groups={"t1": "Bach", "t4": "Bach"})
    found = relatives(data)
    assert {name for name, (unit, _) in found.items() if unit == found["t4"][0]} == {
        "t1", "t4", *COPIES
    }  # fmt: skip
    # A group that is called as a track is, is not that track.
    assert len(set(number_units(["a", "b", "c"], {"a": "b"}).tolist())) == 3


def test_groups_are_read_from_any_table_by_track(tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("track_id,artist\nt0,Bach\nt1,\nt0,Bach\nt2,Abba\n")
    assert read_groups(str(table), "artist") == {"t0": "Bach", "t2": "Abba"}
    with pytest.raises(SchemaError, match="no column album: choose from track_id, artist"):
        read_groups(str(table), "album")
    table.write_text("track_id,artist\nt0,Bach\nt0,Abba\n")
    with pytest.raises(SchemaError, match="line 3 puts track t0 into Abba and Bach"):
        read_groups(str(table), "artist")


def test_kinds_of_whole_tracks_are_joined_by_track(tmp_path: Path) -> None:
    write_small(tmp_path)
    words = np.arange(4.0)[:, None] * [10, 100, 1000]
    write_track_vectors(tmp_path / "words.h5", ["t4", "t3", "t2", "t0"], words)
    for names in (("v.h5", "words.h5"), ("words.h5", "v.h5")):
        for kinds in (("vectors", "words"), ("words", "vectors")):
            data = join_small(tmp_path, *names, kinds=kinds)
            assert data.row_ids == tuple(f"t{i}_{s}" for i in (0, 2, 3, 4) for s in (0, 1))
            features = dict(zip(kinds, data.stored.load().read(np.arange(8)), strict=True))
            np.testing.assert_array_equal(features["vectors"][:, 0], [0, 0, 2, 2, 3, 3, 4, 4])
            np.testing.assert_array_equal(
                features["words"][:, 1], [300, 300, 200, 200, 100, 100, 0, 0]
            )
            of_tracks = load_vectors(data, "track")
            means = dict(zip(kinds, of_tracks.features, strict=True))
            np.testing.assert_array_equal(means["words"][:, 2], [3000, 2000, 1000, 0])


@pytest.mark.parametrize("unit", ["track", "segment"])
def test_kinds_of_whole_tracks_alone_are_rows_of_no_length(tmp_path: Path, unit: Any) -> None:
    write_small(tmp_path)
    words = np.arange(6.0)[:, None] * [10, 100, 1000]
    write_track_vectors(tmp_path / "words.h5", TRACKS, words)
    data = join_small(tmp_path, "words.h5", kinds=("words",))
    (X,) = load_vectors(data, unit).features
    np.testing.assert_array_equal(X, words)


def test_several_numbers_are_of_tracks_that_have_all(tmp_path: Path) -> None:
    write_small(tmp_path)
    labels = [
        number_label(f"t{i}", target, i / 5, scale="0..1")
        for target in ("valence", "arousal", "dominance")
        for i in range(6)
        if i != 3 or target != "arousal"
    ]
    write_labels(tmp_path / "labels.csv", labels, 0)
    data = join_small(tmp_path, targets=("valence", "arousal"))
    unit = Range(0, 1)
    assert data.targets == (Target("valence", unit), Target("arousal", unit))
    assert data.track_ids == ("t0", "t1", "t2", "t4", "t5")
    np.testing.assert_allclose(data.labels.numbers, np.array([[0, 1, 2, 4, 5]] * 2).T / 5)
    assert data.n_outputs == 2


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        (("valence", "mood"), "holds no label for mood"),
        (("valence", "arousal"), "are not all numbers"),
        (("valence", "valence"), "names valence twice"),
    ],
)
def test_targets_that_cannot_be_learnt_together(
    tmp_path: Path, targets: tuple[str, ...], problem: str
) -> None:
    write_small(tmp_path)
    labels = [class_label(f"t{i}", i % 2, ("a", "b")) for i in range(6)]
    labels += [number_label(f"t{i}", "valence", 5) for i in range(6)]
    write_labels(tmp_path / "labels.csv", labels, 2)
    with pytest.raises(UsageError, match=problem):
        join_small(tmp_path, targets=targets)


def test_labels_of_several_scales_and_over_time_are_refused(tmp_path: Path) -> None:
    write_small(tmp_path)
    labels = [number_label(f"t{i}", "v", 0.5, scale="0..1" if i else "1..9") for i in range(6)]
    labels = [replace(label, mean=1.0) for label in labels]
    write_labels(tmp_path / "labels.csv", labels, 0)
    with pytest.raises(SchemaError, match="several scales of v"):
        join_small(tmp_path, targets=("v",))
    header = (tmp_path / "labels.csv").read_text().splitlines()
    text = [header[0] + ",start,duration", *(f"{line},0,1" for line in header[1:])]
    (tmp_path / "labels.csv").write_text("\n".join(text).replace("1..9", "0..1") + "\n")
    with pytest.raises(UsageError, match="rates v over time only"):
        join_small(tmp_path, targets=("v",))
