from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.feature_selection import f_classif

from mertools.evaluation.ranking import analyse_variance, class_means, rank_by


@st.composite
def samples(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw columns of very different sizes, and classes of which some may have one row."""
    n_rows, n_columns = draw(st.integers(5, 40)), draw(st.integers(1, 6))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    y = generator.integers(draw(st.integers(2, 4)), size=n_rows)
    y[:2] = 0, 1
    scales = 10.0 ** generator.integers(-6, 7, size=n_columns)
    offsets = generator.normal(size=n_columns) * draw(st.sampled_from([0, 1, 100]))
    effects = draw(st.sampled_from([0, 0.5, 5]))
    X = generator.normal(size=(n_rows, n_columns)) + effects * y[:, np.newaxis] + offsets
    return X * scales, y


@given(samples())
@settings(max_examples=200)
def test_f_and_p_are_scipys_and_scikit_learns(sample: tuple[Any, Any]) -> None:
    X, y = sample
    F, p = analyse_variance(X, y)
    expected = stats.f_oneway(*(X[y == k] for k in np.unique(y)), axis=0)
    assert pytest.approx(expected.statistic, rel=1e-6, abs=1e-9) == F
    assert pytest.approx(expected.pvalue, rel=1e-5, abs=1e-300) == p
    theirs, their_p = f_classif(X, y)
    assert pytest.approx(theirs, rel=1e-4, abs=1e-7) == F
    assert pytest.approx(their_p, rel=1e-2, abs=1e-300) == p


def test_f_by_hand() -> None:
    X = np.array([[1.0], [2.0], [3.0], [3.0], [4.0], [5.0]])
    y = np.array([0, 0, 0, 1, 1, 1])
    F, p = analyse_variance(X, y)
    assert F[0] == pytest.approx(6.0)
    assert p[0] == pytest.approx(stats.ttest_ind(X[y == 0, 0], X[y == 1, 0]).pvalue)


def test_constant_columns_come_last_and_those_constant_in_classes_first() -> None:
    generator = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 7)
    # 0.1 seven or 21 times has a mean that is not 0.1.
    X = np.column_stack([np.full(21, 0.1), generator.normal(size=21), 0.1 + 0.2 * y, y * 1e9 + 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        F, p = analyse_variance(X, y)
    assert np.isnan([F[0], p[0]]).all()
    assert 0 < p[1] < 1
    assert np.isinf(F[2:]).all()
    assert (p[2:] == 0).all()
    assert rank_by(F).tolist() == [2, 3, 1, 0]


def test_equal_columns_keep_their_order() -> None:
    assert rank_by(np.array([2.0, np.nan, 5.0, 2.0, np.nan])).tolist() == [2, 0, 3, 1, 4]


def test_shift_and_scale_of_a_column_do_not_matter() -> None:
    generator = np.random.default_rng(1)
    X, y = generator.normal(size=(60, 3)), generator.integers(3, size=60)
    F, p = analyse_variance(X, y)
    shifted, shifted_p = analyse_variance(X * [1e-8, -3, 1e8] + [1e-9, 100, -1e9], y)
    assert shifted == pytest.approx(F, rel=1e-6)
    assert shifted_p == pytest.approx(p, rel=1e-6)


def test_p_is_uniform_where_classes_do_not_differ() -> None:
    generator = np.random.default_rng(2)
    _, p = analyse_variance(generator.normal(size=(50, 2_000)), generator.integers(3, size=50))
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_means_are_by_rising_class_of_those_that_occur() -> None:
    X = np.array([[1.0, 0.0], [3.0, 0.0], [10.0, 1.0]])
    assert class_means(X, np.array([2, 2, 0])).tolist() == [[10, 1], [2, 0]]


@pytest.mark.parametrize("y", [[0, 0, 0], [0, 1, 2]])
def test_too_few_classes_or_rows_are_refused(y: list[int]) -> None:
    with pytest.raises(ValueError, match="no variance to analyse"):
        analyse_variance(np.ones((3, 1)), np.array(y))
