"""How far scores are to be trusted: bootstrap intervals, and permutation tests of two models.

Chance acts on whole tracks, as their segments are not independent of each other. Every call starts
its own generator from the seed, so that a figure does not depend on which others are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from mertools.evaluation.metrics import count_cells, score_confusions
from mertools.evaluation.outcomes import (
    ClassOutcomes,
    FloatArray,
    NumberOutcomes,
    Outcomes,
)

CONFIDENCE = 0.95
COMPARED_SCORES = ("accuracy", "macro_f1")
COMPARED_NUMBERS = ("mse", "mae", "r2")
ROUNDING = 1e-12
"""Differences of scores that are closer than this are equal."""
BLOCK_SIZE = 1 << 20
"""Numbers to hold at once for a block of resamples or shuffles."""

Scorer = Callable[[FloatArray], Mapping[str, FloatArray]]


def bootstrap_intervals(
    score: Scorer, n_tracks: int, n_rows: int, n_resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Give each score's percentile interval over resamples of the tracks, with replacement.

    `score` maps how often each resample drew each track, (B, n_tracks), to scores, (B,). A drawn
    track brings all its rows. Resamples in which a score is not defined (a class was not drawn)
    are left out of its interval, which is NaN if none is left (Efron and Tibshirani, 1993).
    """
    generator = np.random.default_rng(seed)
    drawn: dict[str, list[FloatArray]] = {}
    for size in _blocks(n_resamples, max(n_tracks, n_rows)):
        picks = generator.integers(n_tracks, size=(size, n_tracks))
        # Each resample gets its own range of numbers, so that one bincount counts the whole block.
        picks += n_tracks * np.arange(size)[:, np.newaxis]
        counts = np.bincount(picks.ravel(), minlength=size * n_tracks).astype(np.float64)
        for name, values in score(counts.reshape(size, n_tracks)).items():
            drawn.setdefault(name, []).append(values)
    return {name: _interval(np.concatenate(blocks)) for name, blocks in drawn.items()}


def permutation_test(
    first: Outcomes,
    other: Outcomes,
    *,
    paired: bool,
    n_shuffles: int,
    seed: int,
) -> dict[str, dict[str, float | None]]:
    """Test whether two models differ in each compared score on the same tracks.

    Compared are accuracy and macro F1 of classes, and MSE, MAE and R2 of numbers. The statistic is
    the first model's score less the other's. The paired form swaps the two models' outcomes within
    each track with probability a half; the unpaired form deals all outcomes out to two groups of
    equal size, as if they were of different tracks, and so ignores that some tracks are hard for
    both. p is two-sided and counts the observed arrangement: (1 + extreme) / (1 + shuffles)
    (Phipson and Smyth, 2010). Where a score is not defined, its difference and p are None.
    """
    if first.track_ids != other.track_ids:
        raise ValueError("a permutation test needs outcomes of the same tracks")
    # Scores follow from sums over tracks, so a shuffle deals out sums and touches no rows.
    pool = np.concatenate([_sum_tracks(first), _sum_tracks(other)])
    score = _score_errors if isinstance(first, NumberOutcomes) else score_confusions
    deal = _swap if paired else _shuffle
    n_tracks = len(first.track_ids)
    generator = np.random.default_rng(seed)
    in_order = np.repeat([1.0, 0.0], n_tracks)[np.newaxis]
    names = COMPARED_NUMBERS if isinstance(first, NumberOutcomes) else COMPARED_SCORES
    first_scores, other_scores = _score_groups(in_order, pool, score)
    observed = {name: first_scores[name][0] - other_scores[name][0] for name in names}
    # Errors are as large as their scale; scores of classes are at most 1.
    sizes = {
        name: max(1.0, abs(first_scores[name][0]), abs(other_scores[name][0])) for name in names
    }
    extreme = dict.fromkeys(names, 0)
    for size in _blocks(n_shuffles, 2 * n_tracks):
        firsts, others = _score_groups(deal(generator, size, n_tracks), pool, score)
        for name in names:
            bound = abs(observed[name]) - ROUNDING * sizes[name]
            # A shuffle in which the score is not defined counts as extreme.
            below = np.abs(firsts[name] - others[name]) < bound
            extreme[name] += int(np.count_nonzero(~below))
    tests: dict[str, dict[str, float | None]] = {}
    for name in names:
        numbers = {
            "first": float(first_scores[name][0]),
            "other": float(other_scores[name][0]),
            "difference": float(observed[name]),
            "p": (1 + extreme[name]) / (1 + n_shuffles),
        }
        if np.isnan(observed[name]):
            numbers |= dict.fromkeys(("difference", "p"), np.nan)
        tests[name] = {key: None if np.isnan(x) else x for key, x in numbers.items()}
    return tests


def correct_by_holm(p_values: Sequence[float]) -> list[float]:
    """Give p-values corrected for their number, in the same order (Holm, 1979).

    Taking for true what is then below alpha, the chance of any mistake is at most alpha, however
    the tests depend on one another.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        # A larger p-value may not end up below a smaller one.
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _sum_tracks(outcomes: Outcomes) -> FloatArray:
    """Sum up each track's rows, (T, D), so that scores follow from the sums over tracks."""
    if isinstance(outcomes, ClassOutcomes):
        return count_cells(outcomes)
    # About the middle of the scale, so that no digits are lost to large numbers.
    reference = outcomes.reference - outcomes.scale.middle
    errors = outcomes.estimated - outcomes.reference
    columns = (np.ones_like(errors), reference, reference**2, errors**2, np.abs(errors))
    n_tracks = len(outcomes.track_ids)
    return np.column_stack([np.bincount(outcomes.track, c, n_tracks) for c in columns])


def _score_errors(sums: FloatArray) -> dict[str, FloatArray]:
    """Give the compared scores of numbers, (B,), from the sums of `_sum_tracks`, (B, 5)."""
    n_rows, reference, squares, squared_errors, absolute_errors = sums.T
    spread = squares - reference**2 / n_rows
    # Equal references have no R2: what the subtraction leaves is rounding.
    spread = np.where(spread > ROUNDING * squares, spread, np.nan)
    return {
        "mse": squared_errors / n_rows,
        "mae": absolute_errors / n_rows,
        "r2": 1 - squared_errors / spread,
    }


def _score_groups(
    in_first: FloatArray, pool: FloatArray, score: Callable[[FloatArray], dict[str, FloatArray]]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Score the outcomes in the first group and the rest: `in_first` (B, 2 T), sums (2 T, D)."""
    first = in_first @ pool
    # The second group is the rest, which saves a second matrix product.
    return score(first), score(pool.sum(axis=0) - first)


def _swap(generator: np.random.Generator, size: int, n_tracks: int) -> FloatArray:
    kept = generator.integers(2, size=(size, n_tracks)).astype(np.float64)
    return np.hstack([kept, 1 - kept])


def _shuffle(generator: np.random.Generator, size: int, n_tracks: int) -> FloatArray:
    in_order = np.tile(np.repeat([1.0, 0.0], n_tracks), (size, 1))
    return generator.permuted(in_order, axis=1)


def _blocks(total: int, width: int) -> Iterator[int]:
    """Split `total` rows of `width` numbers into blocks that fit `BLOCK_SIZE`."""
    size = max(1, BLOCK_SIZE // width)
    for start in range(0, total, size):
        yield min(size, total - start)


def _interval(values: FloatArray) -> tuple[float, float]:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
