from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.feature_selection import f_classif, f_regression

from mertools.evaluation import ranking
from mertools.evaluation.ranking import (
    analyse_regression,
    analyse_variance,
    class_means,
    drop_correlated,
    rank_by,
    rank_columns,
    relieff,
    relieff_numbers,
)


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


@given(samples())
@settings(max_examples=100)
def test_f_of_a_number_is_scikit_learns(sample: tuple[Any, Any]) -> None:
    X, y = sample
    numbers = y + X[:, 0] / np.abs(X[:, 0]).max()
    F, p = analyse_regression(X, numbers)
    theirs, their_p = f_regression(X, numbers)
    assert pytest.approx(theirs, rel=1e-4, abs=1e-7) == F
    assert pytest.approx(their_p, rel=1e-2, abs=1e-300) == p


def test_f_of_a_number_on_itself_and_on_a_constant() -> None:
    y = np.arange(9.0)
    F, p = analyse_regression(np.column_stack([y, np.full(9, 0.1), np.tile([0, 1, 2], 3)]), y)
    assert F[0] > 1e12
    assert np.isnan([F[1], p[1]]).all()
    assert 0 < p[2] < 1


def slow_relieff(X: Any, y: Any, k: int) -> Any:
    """Follow Kononenko's description a row and a column at a time."""
    n, D = X.shape
    spread = [np.ptp(X[:, d]) or 1.0 for d in range(D)]
    weights = [0.0] * D
    for i in range(n):
        for c in np.unique(y):
            others = [j for j in range(n) if j != i and y[j] == c]
            others.sort(
                key=lambda j, i=i: sum(abs(X[i, d] - X[j, d]) / spread[d] for d in range(D))
            )
            nearest = others[:k]
            for d in range(D):
                total = sum(abs(X[i, d] - X[j, d]) / spread[d] for j in nearest)
                if not nearest:
                    continue
                share = (y == c).mean() / (1 - (y == y[i]).mean())
                weights[d] += (-1 if c == y[i] else share) * total / len(nearest) / n
    return np.array(weights)


@pytest.mark.parametrize("seed", range(4))
def test_relieff_is_the_direct_loops(seed: int) -> None:
    generator = np.random.default_rng(seed)
    X, y = generator.normal(size=(35, 5)), generator.choice(4, p=[0.5, 0.3, 0.15, 0.05], size=35)
    X[:, 3] = 1.0
    assert relieff(X, y, 4) == pytest.approx(slow_relieff(X, y, 4), abs=1e-12)
    small, monkey = relieff(X.astype(np.float32), y, 4), relieff(X * [1, 10, 1e-3, 1, 5] + 7, y, 4)
    assert small == pytest.approx(monkey, abs=1e-4)


def test_relieff_does_not_depend_on_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(50, 6)), generator.integers(3, size=50)
    whole, numbers = relieff(X, y), relieff_numbers(X, X[:, 0])
    monkeypatch.setattr(ranking, "BLOCK_SIZE", 120)
    assert relieff(X, y) == pytest.approx(whole, abs=1e-14)
    assert relieff_numbers(X, X[:, 0]) == pytest.approx(numbers, abs=1e-14)


def test_relieff_sees_what_columns_tell_together_and_f_does_not() -> None:
    generator = np.random.default_rng(5)
    X = generator.uniform(size=(400, 6))
    y = (X[:, 1] > 0.5) ^ (X[:, 4] > 0.5)
    order, weights = rank_columns(X, y, "relieff")
    assert set(order[:2].tolist()) == {1, 4}
    assert weights[[1, 4]].min() > 2 * np.abs(weights[[0, 2, 3, 5]]).max()
    _, p = analyse_variance(X, y)
    assert p[[1, 4]].min() > 0.01
    numbers = y + generator.normal(0, 0.05, size=400)
    order, _ = rank_columns(X, numbers, "relieff", are_numbers=True)
    assert set(order[:2].tolist()) == {1, 4}


def slow_relieff_numbers(X: Any, y: Any, k: int) -> Any:
    """Follow Robnik-Sikonja and Kononenko's figure 3 a row at a time."""
    n, D = X.shape
    X, y = (X - X.min(axis=0)) / np.ptp(X, axis=0), (y - y.min()) / np.ptp(y)
    raw = [np.exp(-((rank / 20) ** 2)) for rank in range(1, k + 1)]
    N_dC, N_dA, N_dCdA = 0.0, np.zeros(D), np.zeros(D)
    for i in range(n):
        others = sorted(
            (j for j in range(n) if j != i), key=lambda j, i=i: np.abs(X[i] - X[j]).sum()
        )
        for rank, j in enumerate(others[:k]):
            d = raw[rank] / sum(raw)
            N_dC += abs(y[i] - y[j]) * d
            for a in range(D):
                N_dA[a] += abs(X[i, a] - X[j, a]) * d
                N_dCdA[a] += abs(y[i] - y[j]) * abs(X[i, a] - X[j, a]) * d
    return N_dCdA / N_dC - (N_dA - N_dCdA) / (n - N_dC)


def test_relieff_of_numbers_is_the_direct_loops() -> None:
    generator = np.random.default_rng(2)
    X = generator.normal(size=(40, 4))
    y = X[:, 2] + 0.1 * generator.normal(size=40)
    weights = relieff_numbers(X, y, 10)
    assert weights == pytest.approx(slow_relieff_numbers(X, y, 10), abs=1e-12)
    assert weights.argmax() == 2


def test_columns_are_ranked_by_either_method_for_either_scale() -> None:
    generator = np.random.default_rng(3)
    y = generator.integers(3, size=90)
    X = np.column_stack(
        [np.full(90, 0.3), generator.normal(size=90), 4 * y + generator.normal(size=90)]
    )
    assert rank_columns(X, y)[0].tolist() == [2, 1, 0]
    assert rank_columns(X, y * 0.5, are_numbers=True)[0].tolist() == [2, 1, 0]
    assert rank_columns(X, y, "relieff")[0][0] == 2
    assert rank_columns(X, y * 0.5, "relieff", are_numbers=True)[0][0] == 2


def test_of_two_correlated_columns_the_lower_ranked_goes() -> None:
    generator = np.random.default_rng(4)
    a, b = generator.normal(size=(2, 100))
    X = np.column_stack([a, -a + 0.01 * b, b, np.full(100, 0.1), b + 0.01 * a])
    assert drop_correlated(X, np.array([1, 0, 4, 3, 2]), 0.9).tolist() == [1, 4, 3]
    assert drop_correlated(X, np.array([0, 1, 2, 3, 4]), 1.0).tolist() == [0, 1, 2, 3, 4]
