"""How far scores are to be trusted: bootstrap intervals, and permutation tests of two models.

Chance acts on whole tracks, as their segments are not independent of each other. Every call starts
its own generator from the seed, so that a figure does not depend on which others are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from mertools.evaluation.join import FloatArray, Outcomes
from mertools.evaluation.metrics import count_cells, score_confusions

CONFIDENCE = 0.95
COMPARED_SCORES = ("accuracy", "macro_f1")
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
) -> dict[str, dict[str, float]]:
    """Test whether two models differ in each of `COMPARED_SCORES` on the same tracks.

    The statistic is the first model's score less the other's. The paired form swaps the two
    models' outcomes within each track with probability a half; the unpaired form deals all
    outcomes out to two groups of equal size, as if they were of different tracks, and so ignores
    that some tracks are hard for both. p is two-sided and counts the observed arrangement:
    (1 + extreme) / (1 + shuffles) (Phipson and Smyth, 2010).
    """
    if first.track_ids != other.track_ids:
        raise ValueError("a permutation test needs outcomes of the same tracks")
    pool = np.concatenate([count_cells(first), count_cells(other)])
    deal = _swap if paired else _shuffle
    n_tracks = len(first.track_ids)
    generator = np.random.default_rng(seed)
    in_order = np.repeat([1.0, 0.0], n_tracks)[np.newaxis]
    first_scores, other_scores = _score_groups(in_order, pool)
    observed = {name: first_scores[name][0] - other_scores[name][0] for name in COMPARED_SCORES}
    extreme = dict.fromkeys(COMPARED_SCORES, 0)
    for size in _blocks(n_shuffles, 2 * n_tracks):
        firsts, others = _score_groups(deal(generator, size, n_tracks), pool)
        for name in COMPARED_SCORES:
            reached = np.abs(firsts[name] - others[name]) >= abs(observed[name]) - ROUNDING
            extreme[name] += int(np.count_nonzero(reached))
    return {
        name: {
            "first": float(first_scores[name][0]),
            "other": float(other_scores[name][0]),
            "difference": float(observed[name]),
            "p": (1 + extreme[name]) / (1 + n_shuffles),
        }
        for name in COMPARED_SCORES
    }


def correct_by_holm(p_values: Sequence[float]) -> list[float]:
    """Give p-values corrected for their number, in the same order (Holm, 1979).

    Taking for true what is then below alpha, the chance of any mistake is at most alpha, however
    the tests depend on one another.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def _score_groups(
    in_first: FloatArray, pool: FloatArray
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Score the outcomes in the first group and the rest: `in_first` (B, 2 T), cells (2 T, K^2)."""
    first = in_first @ pool
    return score_confusions(first), score_confusions(pool.sum(axis=0) - first)


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
