from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_outcomes import corpus_tables, label, prediction
from scipy.spatial.distance import jensenshannon

from mertools.artifacts.rows import Label
from mertools.evaluation.alignment import (
    TargetAlignment,
    align,
    alignment_rows,
    count_ratings,
    jensen_shannon,
    prior_distributions,
    split_half,
    summarise,
)
from mertools.evaluation.join import join_tables


@st.composite
def pairs_of_distributions(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw two stacks of distributions with zeros, ties and numbers that all but vanish."""
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 5)))
    shares = st.one_of(
        st.sampled_from([0.0, 1.0]),
        st.floats(0, 1, allow_subnormal=False),  # which scipy divides by
        st.floats(1e-300, 1e-9),
    )
    n = shape[0] * shape[1]
    stacks = [
        np.array(draw(st.lists(shares, min_size=n, max_size=n))).reshape(shape) for _ in range(2)
    ]
    for stack in stacks:
        stack[:, 0] += 1e-3 * (stack.sum(axis=1) < 1e-3)
    return stacks[0], stacks[1]


@given(pairs_of_distributions(), st.sampled_from([math.e, 2.0, 10.0]))
def test_divergence_is_scipys_distance_squared(pair: tuple[Any, Any], base: float) -> None:
    P, Q = pair
    # scipy takes the root of what rounding may leave below 0.
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(jensenshannon(P, Q, base=base, axis=-1)) ** 2
    assert jensen_shannon(P, Q, base) == pytest.approx(expected, abs=1e-12)


@given(pairs_of_distributions())
def test_divergence_is_symmetric_and_bounded(pair: tuple[Any, Any]) -> None:
    P, Q = pair
    divergence = jensen_shannon(P, Q)
    assert divergence == pytest.approx(jensen_shannon(Q, P), abs=1e-15)
    assert (divergence >= 0).all()
    assert (divergence <= math.log(2)).all()
    assert (jensen_shannon(P, P) == 0).all()


def test_numbers_that_underflow_are_taken_for_nothing() -> None:
    least = np.array([5e-324, 1.0, 0.0])
    assert jensen_shannon(least, np.array([0.0, 0.0, 1.0])) == pytest.approx(math.log(2))
    assert jensen_shannon(least, np.array([0.0, 1.0, 0.0])) == 0


def test_divergence_in_closed_form() -> None:
    sure, other, even = np.eye(2)[0], np.eye(2)[1], np.array([0.5, 0.5])
    assert jensen_shannon(sure, other) == pytest.approx(math.log(2))
    assert jensen_shannon(sure, other, 2) == pytest.approx(1)
    expected = 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3) + 0.25 * math.log(2)
    assert jensen_shannon(sure, even) == pytest.approx(expected)


def test_prior_is_the_mean_over_tracks_marked_train_and_kept() -> None:
    labels = {
        "a": label("a", 1, split="train", distribution=(1.0, 0.0, 0.0)),
        "b": label("b", 1, split="train", distribution=(0.5, 0.5, 0.0)),
        "dropped": label("dropped", 3, split="train", kept=False),
        "c": label("c", 3, split="test"),
    }
    prior = prior_distributions(["c"], labels)
    assert prior == pytest.approx(np.array([[0.75, 0.25, 0.0]]))


def test_no_track_is_in_its_own_prior() -> None:
    labels = {name: label(name, number) for name, number in zip("abc", (1, 2, 3), strict=True)}
    prior = prior_distributions(["a", "b", "c"], labels)
    assert prior == pytest.approx((1 - np.eye(3)) / 2)
    trained = {name: label(name, 1, split="train") for name in "ab"}
    trained["b"] = label("b", 2, split="train")
    assert prior_distributions(["a"], trained) == pytest.approx(np.array([[0, 1, 0]]))


def test_single_track_has_no_prior() -> None:
    assert prior_distributions(["a"], {"a": label("a", 1)}) is None


@given(st.lists(st.integers(0, 400), min_size=1, max_size=9).filter(sum), st.sampled_from([4, 9]))
def test_ratings_are_told_from_shares(counts: list[int], decimals: int) -> None:
    n = sum(counts)
    shares = tuple(round(count / n, decimals) for count in counts)
    row = label("a", 1, n_annotators=n, distribution=shares)
    found = count_ratings(row)
    if decimals == 9:
        assert found is not None
        assert found.tolist() == counts
    elif found is not None:
        assert found.sum() == n


@pytest.mark.parametrize("shares", [(0.25, 0.25, 0.5), (0.33, 0.33, 0.34), (1.0, 1.0, 0.0)])
def test_shares_that_are_no_ratings_are_none(shares: tuple[float, ...]) -> None:
    assert count_ratings(label("a", 1, n_annotators=2, distribution=shares)) is None


def exact_split_half(ratings: list[int], n_classes: int) -> float:
    """Work out the mean divergence over every way to halve the ratings of one track."""
    half = len(ratings) // 2
    divergences = []
    for chosen in itertools.combinations(range(len(ratings)), half):
        one = np.bincount([ratings[i] for i in chosen], minlength=n_classes)
        all_of_them = np.bincount(ratings, minlength=n_classes)
        divergences.append(jensenshannon(one, all_of_them - one) ** 2)
    return float(np.nanmean(np.nan_to_num(divergences)))


@pytest.mark.parametrize(
    "ratings", [[0, 1], [0, 0, 1, 2], [0, 1, 1, 2, 2, 2, 2], [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]]
)
def test_split_half_is_the_mean_over_all_halves(ratings: list[int]) -> None:
    scored = split_half([np.bincount(ratings, minlength=3)], math.e, seed=0, n_halvings=20_000)
    assert scored is not None
    assert scored.jsd[0] == pytest.approx(exact_split_half(ratings, 3), abs=0.003)


def test_annotators_of_one_mind_agree_and_one_alone_cannot() -> None:
    unanimous, alone = np.array([0, 7, 0]), np.array([1, 0, 0])
    scored = split_half([unanimous, alone], math.e, seed=0)
    assert scored is not None
    assert scored.jsd.tolist() == [0]
    assert scored.similarity.tolist() == [1]
    assert split_half([alone], math.e, seed=0) is None


def drawn_tables(
    n_tracks: int, n_annotators: int, concentrations: tuple[int, ...] = (2, 2, 2)
) -> tuple[list[Label], Any]:
    """Draw each track's distribution, and ratings from it; give labels and the distributions."""
    generator = np.random.default_rng(0)
    truth = generator.dirichlet(concentrations, n_tracks)
    labels = []
    for index, probabilities in enumerate(truth):
        shares = generator.multinomial(n_annotators, probabilities) / n_annotators
        changes = {"n_annotators": n_annotators, "distribution": tuple(shares.tolist())}
        labels.append(label(f"t{index:04}", int(shares.argmax()) + 1, **changes))
    return labels, truth


def aligned_with(labels: list[Label], posteriors: Any) -> TargetAlignment:
    rows = [prediction(row.track_id, p.tolist()) for row, p in zip(labels, posteriors, strict=True)]
    return align(join_tables(rows, labels), labels, math.e, 0)["arousal"]


def test_answers_come_in_the_order_that_theory_has() -> None:
    """Rounding by few annotators costs a divergence of (K - 1) / 2n, the truth only a quarter."""
    labels, truth = drawn_tables(400, 40)
    entry = aligned_with(labels, truth)
    assert entry.prior is not None
    assert entry.split_half is not None
    noise = 2 / (8 * 40)
    assert entry.predictions.jsd.mean() == pytest.approx(noise, rel=0.15)
    assert entry.split_half.jsd.mean() == pytest.approx(4 * noise, rel=0.15)
    assert entry.split_half.jsd.mean() < entry.prior.jsd.mean()
    assert entry.prior.jsd.mean() == pytest.approx(entry.uniform.jsd.mean(), abs=0.005)


def test_prior_fits_better_than_chance_where_classes_are_unequal() -> None:
    labels, truth = drawn_tables(100, 20, concentrations=(1, 1, 6))
    entry = aligned_with(labels, truth)
    assert entry.prior is not None
    assert entry.prior.similarity.mean() > entry.uniform.similarity.mean() + 0.03


def test_rows_are_in_order_whatever_that_of_the_tables() -> None:
    labels, predictions = corpus_tables()
    labels += [
        label(row.track_id, row.label, target="x", distribution=row.distribution) for row in labels
    ]
    predictions += [
        prediction(row.track_id, row.posteriors, target="x") for row in predictions[::3]
    ]
    generator = np.random.default_rng(3)
    results = []
    for _ in range(2):
        joined = join_tables(predictions, labels)
        aligned = align(joined, labels, math.e, 0)
        results.append((list(alignment_rows(aligned)), summarise(joined, aligned, 50, 0)))
        labels = [labels[i] for i in generator.permutation(len(labels))]
        predictions = [predictions[i] for i in generator.permutation(len(predictions))]
    assert results[0] == results[1]
    rows = results[0][0]
    assert [(row.track_id, row.target) for row in rows] == sorted(
        (row.track_id, row.target) for row in rows
    )
    assert {row.target for row in rows} == {"arousal", "x"}


def test_interval_is_of_the_mean_over_tracks() -> None:
    labels, truth = drawn_tables(200, 10)
    rows = [prediction(row.track_id, p.tolist()) for row, p in zip(labels, truth, strict=True)]
    joined = join_tables(rows, labels)
    aligned = align(joined, labels, math.e, 0)
    described = summarise(joined, aligned, 2_000, 0)["targets"]["arousal"]["predictions"]
    jsd = aligned["arousal"].predictions.jsd
    error = 1.96 * jsd.std() / math.sqrt(len(jsd))
    expected = (jsd.mean() - error, jsd.mean() + error)
    assert described["intervals"]["jsd"] == pytest.approx(expected, rel=0.03)
    assert described["similarity"] == pytest.approx(np.exp(-jsd).mean())
