"""Congruence: matching and its relation to errors, by closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mertools.evaluation.congruence import (
    Songs,
    agreement_of,
    describe_matching,
    describe_relation,
    draw_negatives,
    error_of,
    mismatch,
    partial_correlation,
)

NOTHING = np.zeros(0, np.int64)


def alone(n: int) -> Songs:
    """Give songs of which no two have anything in common."""
    return Songs(np.arange(n), np.arange(n), NOTHING)


def test_ranks_and_recall_in_closed_form() -> None:
    # Song k's own lyrics are behind those of k others.
    n = 20
    similarity = np.array([[0.5 if m >= k else 0.9 for m in range(n)] for k in range(n)])
    similarity[np.diag_indices(n)] = 0.6
    found = describe_matching(similarity, alone(n), seed=0)
    assert found["median_rank"] == 10.5
    assert found["recall"] == {"1": 0.05, "5": 0.25, "10": 0.5}
    assert found["expected_recall"] == {"1": 0.05, "5": 0.25, "10": 0.5}
    assert found["n_mismatched"] == 200
    rows, others = mismatch(alone(n), 0)
    expected = stats.mannwhitneyu(np.diag(similarity), similarity[rows, others]).statistic
    assert found["auc"] == pytest.approx(expected / (n * 200))


def test_the_interval_of_the_auc_draws_songs_with_their_mismatched_pairs() -> None:
    rng = np.random.default_rng(3)
    n = 40
    similarity = rng.normal(0, 1, (n, n)) + np.diag(rng.uniform(0, 2, n))
    found = describe_matching(similarity, alone(n), 0, n_resamples=2000)
    rows, others = mismatch(alone(n), 0)
    drawn = []
    for _ in range(2000):
        songs = rng.integers(n, size=n)
        of_others = [similarity[k, others[rows == k]] for k in songs]
        own = similarity[songs, songs]
        wins = stats.mannwhitneyu(own, np.concatenate(of_others)).statistic
        drawn.append(wins / (n * sum(map(len, of_others))))
    assert found["auc_interval"] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)
    assert describe_matching(similarity, alone(n), 0)["auc_interval"] is None


def test_equal_words_do_not_push_their_own_back() -> None:
    similarity = np.full((3, 3), 0.4)
    assert describe_matching(similarity, alone(3), 0)["median_rank"] == 1
    same = Songs(np.arange(3), np.zeros(3, np.int64), NOTHING)
    found = describe_matching(similarity, same, 0)
    assert found["n_mismatched"] == 0
    assert found["auc"] is None


@pytest.mark.parametrize("negatives", ["random", "other-quadrant", "same-quadrant"])
def test_negatives_share_neither_artist_nor_words(negatives: str) -> None:
    rng = np.random.default_rng(1)
    n = 200
    songs = Songs(rng.integers(20, size=n), rng.integers(150, size=n), rng.integers(4, size=n))
    drawn = draw_negatives(songs, np.random.default_rng(0), negatives)
    assert drawn.min() >= 0
    rows = np.arange(n)
    assert (songs.artists[rows] != songs.artists[drawn]).all()
    assert (songs.texts[rows] != songs.texts[drawn]).all()
    same = songs.quadrants[rows] == songs.quadrants[drawn]
    if negatives != "random":
        assert same.all() == (negatives == "same-quadrant")
        assert same.any() == (negatives == "same-quadrant")
    other = draw_negatives(songs, np.random.default_rng(1), negatives)
    assert (drawn != other).any()


def test_errors_and_agreement_in_closed_form() -> None:
    corners, opposite = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(agreement_of(corners, opposite), [0, 1])
    errors = error_of(np.array([[0.5, 0.5]]), np.array([[0.1, 0.8]]))
    np.testing.assert_allclose(errors, [np.sqrt((0.16 + 0.09) / 2)])


def test_the_relation_is_that_of_scipy() -> None:
    rng = np.random.default_rng(2)
    hidden = rng.normal(size=120)
    congruence = np.round(hidden + rng.normal(size=120), 1)  # with ties
    errors = np.abs(-0.3 * hidden + rng.normal(size=120))
    found = describe_relation(congruence, errors, hidden[:, None], 200, 500, seed=0)
    assert found["pearson_r"] == pytest.approx(stats.pearsonr(congruence, errors).statistic)
    assert found["spearman_rho"] == pytest.approx(stats.spearmanr(congruence, errors).statistic)
    expected = stats.pearsonr(congruence, errors).pvalue
    assert found["p"] == pytest.approx(expected, abs=0.06)
    low, high = found["interval"]
    assert low < found["pearson_r"] < high
    assert [part["n"] for part in found["fifths"]] == [24] * 5
    assert sum(part["mean_error"] for part in found["fifths"]) / 5 == pytest.approx(errors.mean())
    # The closed form for one covariate.
    xy, xz, yz = (
        np.corrcoef(*pair)[0, 1]
        for pair in ((congruence, errors), (congruence, hidden), (errors, hidden))
    )
    partial = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert found["partial_r"] == pytest.approx(partial)


def test_what_does_not_vary_has_no_relation() -> None:
    errors = np.array([0.1, 0.2, 0.4])
    found = describe_relation(np.full(3, 0.7), errors, np.zeros((3, 1)), 10, 10, seed=0)
    assert found["pearson_r"] is None
    assert found["p"] is None
    assert found["interval"] is None
    assert np.isnan(partial_correlation(errors, errors**2, np.eye(3)[:, :1]))
