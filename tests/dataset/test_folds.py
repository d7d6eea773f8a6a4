from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mertools.dataset.folds import assign_folds, check_folds
from mertools.errors import UsageError


@st.composite
def labelled_tracks(draw: st.DrawFn) -> tuple[list[str], np.ndarray[Any, Any]]:
    ids = draw(st.lists(st.text(max_size=8), min_size=2, max_size=40, unique=True))
    y = draw(st.lists(st.integers(0, 3), min_size=len(ids), max_size=len(ids)))
    return ids, np.array(y)


@given(labelled_tracks(), st.integers(2, 7), st.integers(0, 99))
def test_classes_and_tracks_are_spread_evenly(tracks, n_folds, seed):
    ids, y = tracks
    folds = assign_folds(ids, y, n_folds, seed)
    for of_some in (folds, *(folds[y == k] for k in np.unique(y))):
        sizes = np.bincount(of_some, minlength=n_folds)
        assert len(sizes) == n_folds
        assert sizes.max() - sizes.min() <= 1


@given(labelled_tracks(), st.integers(2, 7), st.integers(0, 99), st.randoms())
def test_the_order_of_tracks_does_not_matter(tracks, n_folds, seed, random):
    ids, y = tracks
    order = list(range(len(ids)))
    random.shuffle(order)
    shuffled = assign_folds([ids[i] for i in order], y[order], n_folds, seed)
    np.testing.assert_array_equal(assign_folds(ids, y, n_folds, seed)[order], shuffled)


def test_the_seed_draws_other_folds_and_none_other():
    ids, y = [f"{i:03}" for i in range(60)], np.arange(60) % 3
    folds = [assign_folds(ids, y, 5, seed) for seed in (0, 0, 1)]
    assert (folds[0] == folds[1]).all()
    assert (folds[0] != folds[2]).mean() > 0.5


def test_a_name_that_is_no_utf8_has_a_fold():
    assert assign_folds(["\udcff", "a"], np.array([0, 0]), 2, 0).tolist() in ([0, 1], [1, 0])


@st.composite
def tracks_in_units(
    draw: st.DrawFn,
) -> tuple[list[str], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    ids, y = draw(labelled_tracks())
    units = draw(st.lists(st.integers(0, 9), min_size=len(ids), max_size=len(ids)))
    return ids, y, np.array(units)


@given(tracks_in_units(), st.integers(2, 5), st.integers(0, 9), st.randoms())
def test_units_are_never_torn_apart(tracks, n_folds, seed, random):
    ids, y, units = tracks
    folds = assign_folds(ids, y, n_folds, seed, units)
    assert ((folds >= 0) & (folds < n_folds)).all()
    for unit in np.unique(units):
        assert len(set(folds[units == unit].tolist())) == 1
    order = list(range(len(ids)))
    random.shuffle(order)
    shuffled = assign_folds([ids[i] for i in order], y[order], n_folds, seed, units[order])
    np.testing.assert_array_equal(folds[order], shuffled)


def test_units_of_like_size_are_spread_evenly():
    ids, units = [f"{i:02}" for i in range(40)], np.arange(40) // 2
    y = units % 2
    folds = assign_folds(ids, y, 5, 0, units)
    for k in (0, 1):
        assert np.bincount(folds[y == k], minlength=5).tolist() == [4] * 5


@given(st.lists(st.integers(0, 12), min_size=2, max_size=4), st.integers(2, 6))
def test_what_passes_the_check_can_be_searched_within_every_fold(counts, n_folds):
    y = np.repeat(np.arange(len(counts)), counts)
    classes = [f"class {k}" for k in range(len(counts))]
    try:
        check_folds(y, classes, n_folds)
    except UsageError as error:
        assert f"class {np.argmin(counts)} has only {min(counts)} track" in error.problem
        return
    folds = assign_folds([str(i) for i in range(len(y))], y, n_folds, 0)
    for fold in range(n_folds):
        # A rare class may be missing in a fold, but never in the rest.
        held_out = np.bincount(y[folds == fold], minlength=len(counts))
        assert (held_out[np.array(counts) >= n_folds] >= 1).all()
        assert held_out.sum() >= 1
        assert (np.bincount(y[folds != fold], minlength=len(counts)) >= 2).all()


@given(st.integers(3, 9))
def test_the_remedy_names_a_number_of_folds_that_works(count):
    y, classes = np.repeat([0, 1], [count + 1, count]), ["weak", "strong"]
    with pytest.raises(UsageError, match=rf"strong has only {count} tracks.*--cv {count + 1}\b"):
        check_folds(y, classes, count + 2)
    check_folds(y, classes, count + 1)


def test_a_rare_class_may_be_missing_in_some_folds() -> None:
    y = np.repeat([0, 1], [50, 9])
    check_folds(y, ["weak", "strong"], 10)


def test_a_class_too_small_for_any_folds_is_named():
    with pytest.raises(UsageError, match="class neutral has only 1 track: rate more tracks of it"):
        check_folds(np.array([0, 0, 0, 0, 1]), ["weak", "neutral"], 2)


def test_one_fold_is_none():
    with pytest.raises(UsageError, match="give 2 or more"):
        check_folds(np.array([0, 0, 1, 1]), ["weak", "strong"], 1)
