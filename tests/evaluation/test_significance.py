from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_outcomes import answers, make_outcomes, outcomes
from scipy import stats
from sklearn import metrics as sk

from mertools.evaluation import significance
from mertools.evaluation.metrics import score_classes
from mertools.evaluation.outcomes import ClassOutcomes, FloatArray
from mertools.evaluation.significance import (
    bootstrap_intervals,
    correct_by_holm,
    permutation_test,
)

SHUFFLES = 4_000


def intervals(made: ClassOutcomes, n_resamples: int = 2_000, seed: int = 0) -> dict[str, tuple]:
    def score(weights: FloatArray) -> dict[str, FloatArray]:
        return score_classes(made, weights)

    return bootstrap_intervals(score, len(made.track_ids), len(made.track), n_resamples, seed)


def noisy(n: int, share_right: float, seed: int) -> ClassOutcomes:
    """Make answers of which a share is right; the reference is the same for all seeds."""
    generator = np.random.default_rng(seed)
    reference = np.arange(n) % 3
    wrong = (reference + generator.integers(1, 3, size=n)) % 3
    right = generator.random(n) < share_right
    return make_outcomes(reference, answers(np.where(right, reference, wrong), 3))


def pair(n: int, seed: int = 0) -> tuple[ClassOutcomes, ClassOutcomes]:
    """Make the answers of two models to the same tracks."""
    return noisy(n, 0.8, seed), noisy(n, 0.4, seed + 100)


def test_interval_of_accuracy_is_the_binomial_distributions() -> None:
    made = noisy(400, 0.7, seed=3)
    rate = float((made.reference == made.estimated).mean())
    low, high = intervals(made)["accuracy"]
    expected = stats.binom(400, rate).ppf([0.025, 0.975]) / 400
    assert (low, high) == pytest.approx(expected, abs=0.006)


def test_intervals_hold_the_true_accuracy_about_as_often_as_they_say() -> None:
    held = 0
    for seed in range(100):
        low, high = intervals(noisy(100, 0.7, seed), 400)["accuracy"]
        held += low <= 0.7 <= high
    assert 88 <= held <= 99


def test_resamples_score_as_scikit_learn_scores_the_rows_drawn() -> None:
    made = noisy(30, 0.6, seed=1)
    drawn = np.random.default_rng(7).integers(30, size=(200, 30))
    scores = [
        sk.f1_score(made.reference[rows], made.estimated[rows], average="macro") for rows in drawn
    ]
    expected = np.quantile(scores, [0.025, 0.975])
    assert intervals(made, 200, seed=7)["macro_f1"] == pytest.approx(expected, abs=1e-12)


def test_segments_are_drawn_with_their_track() -> None:
    made = noisy(50, 0.7, seed=2)
    thrice = np.repeat(np.arange(50), 3)
    segments = make_outcomes(made.reference[thrice], made.posteriors[thrice], track=thrice)
    for name, interval in intervals(made).items():
        assert intervals(segments)[name] == pytest.approx(interval)


def test_intervals_are_the_same_for_one_seed_and_any_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = noisy(40, 0.6, seed=5)
    whole = intervals(made, 300, seed=9)
    assert whole != intervals(made, 300, seed=10)
    monkeypatch.setattr(significance, "BLOCK_SIZE", 500)
    assert intervals(made, 300, seed=9) == whole


def test_score_that_is_defined_in_no_resample_has_no_interval() -> None:
    made = make_outcomes([0, 0, 0], answers([0, 0, 1], 2))
    assert all(math.isnan(end) for end in intervals(made, 50)["macro_auc"])
    assert intervals(made, 50)["accuracy"][1] == 1


@given(outcomes(), st.booleans())
@settings(max_examples=50)
def test_a_model_does_not_differ_from_itself(made: ClassOutcomes, paired: bool) -> None:
    if paired:
        result = permutation_test(made, made, paired=True, n_shuffles=100, seed=0)
    else:  # rows, not tracks, so that all groups are of one size
        rows = make_outcomes(made.reference, made.posteriors)
        result = permutation_test(rows, rows, paired=False, n_shuffles=100, seed=0)
    for test in result.values():
        assert test["difference"] == 0
        assert test["p"] == 1


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_swapping_the_models_changes_the_sign_only(paired: bool, seed: int) -> None:
    first, other = pair(25, seed)
    there = permutation_test(first, other, paired=paired, n_shuffles=SHUFFLES, seed=1)
    back = permutation_test(other, first, paired=paired, n_shuffles=SHUFFLES, seed=1)
    for name, test in there.items():
        assert back[name]["difference"] == -test["difference"]
        assert back[name]["p"] == pytest.approx(test["p"], abs=0.04)
        assert 0 < test["p"] <= 1


def macro_f1_of_codes(codes: np.ndarray, reference: np.ndarray) -> float:
    return float(sk.f1_score(reference, codes, average="macro", zero_division=0))


@pytest.mark.parametrize("seed", range(3))
def test_paired_p_is_scipys(seed: int) -> None:
    first, other = pair(9, seed)
    result = permutation_test(first, other, paired=True, n_shuffles=SHUFFLES, seed=0)
    right = [(made.estimated == made.reference).astype(float) for made in (first, other)]
    exact = stats.permutation_test(
        right,
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
    )
    assert result["accuracy"]["difference"] == pytest.approx(exact.statistic)
    assert result["accuracy"]["p"] == pytest.approx(exact.pvalue, abs=0.03)

    def difference(x: np.ndarray, y: np.ndarray) -> float:
        return macro_f1_of_codes(x, first.reference) - macro_f1_of_codes(y, first.reference)

    exact = stats.permutation_test(
        (first.estimated, other.estimated),
        difference,
        permutation_type="samples",
        vectorized=False,
    )
    assert result["macro_f1"]["difference"] == pytest.approx(exact.statistic)
    assert result["macro_f1"]["p"] == pytest.approx(exact.pvalue, abs=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_unpaired_p_is_scipys(seed: int) -> None:
    first, other = pair(7, seed)
    result = permutation_test(first, other, paired=False, n_shuffles=SHUFFLES, seed=0)
    right = [(made.estimated == made.reference).astype(float) for made in (first, other)]
    exact = stats.permutation_test(
        right,
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        permutation_type="independent",
        vectorized=True,
    )
    assert result["accuracy"]["p"] == pytest.approx(exact.pvalue, abs=0.03)


def test_pairing_finds_a_small_but_steady_difference() -> None:
    first = noisy(200, 0.6, seed=4)
    worse = first.estimated.copy()
    right = np.flatnonzero(first.estimated == first.reference)[:12]
    worse[right] = (worse[right] + 1) % 3
    other = make_outcomes(first.reference, answers(worse, 3))
    paired = permutation_test(first, other, paired=True, n_shuffles=SHUFFLES, seed=0)
    unpaired = permutation_test(first, other, paired=False, n_shuffles=SHUFFLES, seed=0)
    assert paired["accuracy"]["p"] < 0.01 < 0.1 < unpaired["accuracy"]["p"]


def test_p_is_not_zero_even_where_no_shuffle_is_as_extreme() -> None:
    reference = np.arange(90) % 3
    right = make_outcomes(reference, answers(reference, 3))
    wrong = make_outcomes(reference, answers((reference + 1) % 3, 3))
    for paired in (True, False):
        result = permutation_test(right, wrong, paired=paired, n_shuffles=999, seed=0)
        assert {test["p"] for test in result.values()} == {1 / 1000}


@pytest.mark.parametrize("paired", [True, False])
def test_models_of_equal_skill_seldom_seem_to_differ(paired: bool) -> None:
    values = [
        permutation_test(
            noisy(60, 0.6, seed), noisy(60, 0.6, seed + 500), paired=paired, n_shuffles=400, seed=0
        )["macro_f1"]["p"]
        for seed in range(200)
    ]
    assert 0.005 <= np.mean(np.array(values) < 0.05) <= 0.1


def test_models_of_different_tracks_are_refused() -> None:
    with pytest.raises(ValueError, match="same tracks"):
        permutation_test(noisy(5, 0.5, 0), noisy(6, 0.5, 0), paired=True, n_shuffles=10, seed=0)


@pytest.mark.parametrize(
    ("raw", "corrected"),
    [
        ([], []),
        ([0.04], [0.04]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.001, 0.02, 0.04], [0.003, 0.04, 0.04]),
        ([0.6, 0.5, 0.01], [1.0, 1.0, 0.03]),
        ([0.2, 0.2], [0.4, 0.4]),
    ],
)
def test_holms_correction_by_hand(raw: list[float], corrected: list[float]) -> None:
    assert correct_by_holm(raw) == pytest.approx(corrected)


@given(st.lists(st.floats(1e-9, 1), max_size=12))
def test_holms_correction_keeps_the_order_and_lies_within_bonferronis(raw: list[float]) -> None:
    corrected = correct_by_holm(raw)
    for p, larger in zip(raw, corrected, strict=True):
        assert p <= larger <= min(1, p * len(raw)) + 1e-15
    order = sorted(range(len(raw)), key=raw.__getitem__)
    assert [corrected[i] for i in order] == sorted(corrected)


def test_holms_correction_seldom_finds_a_difference_where_there_is_none() -> None:
    draws = np.random.default_rng(0).random((2_000, 6))
    assert np.mean(draws.min(axis=1) < 0.05) > 0.2
    mistakes = [min(correct_by_holm(row.tolist())) < 0.05 for row in draws]
    assert np.mean(mistakes) == pytest.approx(0.05, abs=0.02)
