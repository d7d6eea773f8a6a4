"""How well sound and lyrics go together, and whether a model errs less where they do (paper 004).

A similarity of own pairs says something only beside that of mismatched ones: here of each track and
some fixed lyrics of others, neither by its artist nor of the same words, and its rank among all
lyrics of the part. What relates to the error is a congruence by track: the similarity, or the
agreement of what sound and lyrics alone predict, which needs no training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.rows import Prediction
from mertools.errors import UsageError
from mertools.evaluation.join import TRACK, JoinedTarget
from mertools.evaluation.levels import number
from mertools.evaluation.metrics import roc_auc
from mertools.evaluation.outcomes import FloatArray, NumberOutcomes
from mertools.evaluation.quadrants import AXES, QUADRANTS, find_quadrants
from mertools.evaluation.significance import CONFIDENCE, bootstrap_intervals
from mertools.targets.scale import Range

N_NEGATIVES = 10
RECALLED = (1, 5, 10)
N_PARTS = 5
MIN_TRACKS = 3
"""With fewer, no correlation can be told from any other."""
MIDDLE = 0.5
TRIES = 1000
"""Draws of another track before it is taken that there is none."""

Json = dict[str, Any]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Songs:
    """What tells a mismatched pair from a matched one: (n,) each, numbers that are equal or not.

    Songs of one `artist`, or with the same `text`, do not make a negative pair. `quadrants` is
    empty where negatives may be of any.
    """

    artists: IntArray
    texts: IntArray
    quadrants: IntArray

    def take(self, rows: IntArray) -> Songs:
        """Keep some of the songs."""
        quadrants = self.quadrants[rows] if len(self.quadrants) else self.quadrants
        return Songs(self.artists[rows], self.texts[rows], quadrants)


def number_equal(values: Sequence[object]) -> IntArray:
    """Give each value a number, the same for equal ones: (n,)."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def draw_negatives(
    songs: Songs, generator: np.random.Generator, negatives: str = "random"
) -> IntArray:
    """Draw for each song another one, whose lyrics do not belong to it: (n,), -1 where none does.

    `negatives` are any, of an "other-quadrant" or of the "same-quadrant".
    """
    n = len(songs.artists)
    drawn = generator.integers(n, size=n)
    for _ in range(TRIES):
        wrong = np.flatnonzero(~_are_apart(songs, np.arange(n), drawn, negatives))
        if not len(wrong):
            return drawn
        drawn[wrong] = generator.integers(n, size=len(wrong))
    drawn[~_are_apart(songs, np.arange(n), drawn, negatives)] = -1
    return drawn


def _are_apart(songs: Songs, one: IntArray, other: IntArray, negatives: str) -> NDArray[np.bool_]:
    apart = (
        (one != other)
        & (songs.artists[one] != songs.artists[other])
        & (songs.texts[one] != songs.texts[other])
    )
    if negatives != "random":
        same = songs.quadrants[one] == songs.quadrants[other]
        apart &= same if negatives == "same-quadrant" else ~same
    return np.asarray(apart)


def mismatch(songs: Songs, seed: int) -> tuple[IntArray, IntArray]:
    """Pair each song with the lyrics of `N_NEGATIVES` others, the same for a seed: rows of both."""
    generator = np.random.default_rng(seed)
    others = np.concatenate([draw_negatives(songs, generator) for _ in range(N_NEGATIVES)])
    rows = np.tile(np.arange(len(songs.artists)), N_NEGATIVES)
    return rows[others >= 0], others[others >= 0]


def auc_of(matched: FloatArray, mismatched: FloatArray) -> float:
    """Give the probability that a matched pair is more similar than a mismatched one."""
    positive = np.repeat([True, False], [len(matched), len(mismatched)])
    scores = np.concatenate([matched, mismatched])
    return float(roc_auc(positive, scores, np.ones((1, len(scores))))[0])


def describe_matching(
    similarity: FloatArray, songs: Songs, seed: int, n_resamples: int = 0
) -> Json:
    """Describe how well matched pairs are told from others.

    similarity: (n, n), of each song's sound and each one's lyrics. A rank is among all lyrics of
    the part, 1 for the most similar; equal words do not push their own back. The AUC's interval is
    of a bootstrap over songs, each with its own mismatched pairs.
    """
    matched = np.diag(similarity)
    rows, others = mismatch(songs, seed)
    mismatched = similarity[rows, others]
    ranks = 1 + (similarity > matched[:, None]).sum(axis=1)
    return {
        "n": len(matched),
        "n_mismatched": len(mismatched),
        "auc": number(auc_of(matched, mismatched)) if len(mismatched) else None,
        "auc_interval": _auc_interval(matched, mismatched, rows, n_resamples, seed),
        "mean_matched": float(matched.mean()),
        "mean_mismatched": float(mismatched.mean()) if len(mismatched) else None,
        "median_rank": float(np.median(ranks)),
        "recall": {str(k): float((ranks <= k).mean()) for k in RECALLED},
        "expected_recall": {str(k): min(1.0, k / len(matched)) for k in RECALLED},
    }


def _auc_interval(
    matched: FloatArray, mismatched: FloatArray, rows: IntArray, n_resamples: int, seed: int
) -> list[float] | None:
    """Give the interval of the AUC; mismatched pairs belong to the songs of `rows`."""
    if not n_resamples or not len(mismatched):
        return None
    positive = np.repeat([True, False], [len(matched), len(mismatched)])
    scores = np.concatenate([matched, mismatched])

    def score(weights: FloatArray) -> dict[str, FloatArray]:
        return {"auc": roc_auc(positive, scores, np.hstack([weights, weights[:, rows]]))}

    ends = bootstrap_intervals(score, len(matched), len(scores), n_resamples, seed)["auc"]
    return None if math.isnan(ends[0]) else list(ends)


def error_of(reference: FloatArray, estimated: FloatArray) -> FloatArray:
    """Give each track's error, from valence and arousal in 0..1, (n, 2): root mean square, (n,)."""
    errors: FloatArray = np.sqrt(((reference - estimated) ** 2).mean(axis=1))
    return errors


def agreement_of(by_sound: FloatArray, by_lyrics: FloatArray) -> FloatArray:
    """Give how much sound and lyrics agree: 1 less their distance in the plane, (..., 2) to (...).

    Both are valence and arousal in 0..1, so that 0 is the distance of opposite corners.
    """
    distance = np.sqrt(((by_sound - by_lyrics) ** 2).sum(axis=-1))
    agreement: FloatArray = 1 - distance / np.sqrt(2)
    return agreement


def describe_relation(
    congruence: FloatArray,
    errors: FloatArray,
    covariates: FloatArray,
    n_resamples: int,
    n_shuffles: int,
    seed: int,
) -> Json:
    """Describe how errors, (n,), go with congruence, (n,); a helpful one is negative.

    `covariates`, (n, k), are held constant in the partial correlation: what makes a track hard
    whatever its words. The interval is a bootstrap's over tracks; p is two-sided, of the Pearson
    correlation over permutations, the observed one counted (Phipson and Smyth, 2010).
    """
    generator = np.random.default_rng(seed)
    n = len(errors)
    r = pearson(congruence, errors)
    picks = generator.integers(n, size=(n_resamples, n))
    drawn = np.array([pearson(congruence[rows], errors[rows]) for rows in picks])
    tail = (1 - CONFIDENCE) / 2
    defined = drawn[~np.isnan(drawn)]
    interval = np.quantile(defined, [tail, 1 - tail]).tolist() if len(defined) else None
    shuffled = generator.permuted(np.tile(_standardise(errors), (n_shuffles, 1)), axis=1)
    extreme = np.abs(shuffled @ _standardise(congruence) / n) >= abs(r) - 1e-12
    return {
        "n": n,
        "pearson_r": number(r),
        "interval": interval,
        "p": None if np.isnan(r) else float((1 + extreme.sum()) / (1 + n_shuffles)),
        "spearman_rho": number(pearson(_ranks(congruence), _ranks(errors))),
        "partial_r": number(partial_correlation(congruence, errors, covariates)),
        "fifths": _describe_fifths(congruence, errors),
    }


def _describe_fifths(congruence: FloatArray, errors: FloatArray) -> list[Json]:
    """Average the errors of each fifth of the tracks, the least congruent first."""
    parts = np.array_split(np.argsort(congruence, kind="stable"), min(N_PARTS, len(errors)))
    return [
        {
            "low": float(congruence[rows].min()),
            "high": float(congruence[rows].max()),
            "n": len(rows),
            "mean_error": float(errors[rows].mean()),
            "standard_error": float(errors[rows].std(ddof=1) / np.sqrt(len(rows)))
            if len(rows) > 1
            else None,
        }
        for rows in parts
    ]


def partial_correlation(x: FloatArray, y: FloatArray, covariates: FloatArray) -> float:
    """Correlate what is left of x and y, (n,), once covariates, (n, k), explain what they can.

    NaN where there are too few rows for that.
    """
    design = np.column_stack([np.ones(len(x)), covariates])
    (of_x, _, rank, _), (of_y, *_) = (
        np.linalg.lstsq(design, values, rcond=None) for values in (x, y)
    )
    # What one row more than the design needs leaves is always on a line.
    if len(x) < rank + 2:
        return math.nan
    return pearson(x - design @ of_x, y - design @ of_y)


def pearson(x: FloatArray, y: FloatArray) -> float:
    """Give Pearson's correlation of x and y, (n,); NaN where one of them does not vary."""
    return float((_standardise(x) * _standardise(y)).mean())


def _standardise(x: FloatArray) -> FloatArray:
    spread = x.std()
    # What rounding leaves of equal values is no spread.
    if spread <= 1e-12 * max(1.0, float(np.abs(x).max(initial=0))):
        return np.full(len(x), np.nan)
    standard: FloatArray = (x - x.mean()) / spread
    return standard


def _ranks(x: FloatArray) -> FloatArray:
    """Rank values, (n,), equal ones by their mean."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: FloatArray = (ends - (counts - 1) / 2)[inverse]
    return ranks


@dataclass(frozen=True)
class PlanePoints:
    """Valence and arousal of tracks, mapped to 0..1, (n, 2): what is true and what is estimated."""

    track_ids: tuple[str, ...]
    reference: FloatArray
    estimated: FloatArray


def find_points(joined: Mapping[str, JoinedTarget], source: str) -> PlanePoints:
    """Find the tracks whose valence and arousal are numbers that `source` predicts.

    Of several repetitions the mean is taken. Raises UsageError where there are none.
    """
    columns: list[tuple[FloatArray, FloatArray]] = []
    ids: list[tuple[str, ...]] = []
    for target in AXES:
        outcomes = joined[target].levels.get(TRACK) if target in joined else None
        if not isinstance(outcomes, NumberOutcomes):
            raise UsageError(
                source, f"has no numbers of {target} of labelled tracks", "predict both numbers"
            )
        counts = np.bincount(outcomes.track)
        reference, estimated = (
            np.bincount(outcomes.track, outcomes.scale.to_unit(values)) / counts
            for values in (outcomes.reference, outcomes.estimated)
        )
        columns.append((reference, estimated))
        ids.append(outcomes.track_ids)
    if ids[0] != ids[1]:
        raise UsageError(source, "has not both numbers of all tracks", "predict both")
    reference, estimated = (np.stack(parts, axis=1) for parts in zip(*columns, strict=True))
    return PlanePoints(ids[0], reference, estimated)


def relate_errors(
    points: PlanePoints,
    congruences: Mapping[str, Mapping[str, float]],
    n_resamples: int,
    n_shuffles: int,
    seed: int,
) -> dict[str, Json]:
    """Relate each congruence, a value by track, to the errors of tracks that have one.

    Errors are the root mean square over valence and arousal, and the size of each one's.
    """
    described: dict[str, Json] = {}
    for name, values in congruences.items():
        rows = np.array([k for k, track in enumerate(points.track_ids) if track in values], int)
        if len(rows) < MIN_TRACKS:
            continue
        congruence = np.array([values[points.track_ids[k]] for k in rows])
        reference, estimated = points.reference[rows], points.estimated[rows]
        of_axes = np.abs(reference - estimated)
        errors = {"both": error_of(reference, estimated)}
        errors |= {axis: of_axes[:, k] for k, axis in enumerate(AXES)}
        covariates = np.column_stack([np.abs(reference - MIDDLE), _in_quadrants(reference)])
        described[name] = {
            which: describe_relation(
                congruence, values_of, covariates, n_resamples, n_shuffles, seed
            )
            for which, values_of in errors.items()
        }
    return described


def _in_quadrants(points: FloatArray) -> FloatArray:
    """Tell the quadrants of points in 0..1 by three columns of 0 and 1: (n, 3)."""
    index = find_quadrants(points[:, 0], points[:, 1], np.array([MIDDLE, MIDDLE]))
    return np.eye(len(QUADRANTS))[index][:, 1:]


def unit_values(rows: Iterable[Prediction], source: str) -> dict[str, dict[str, float]]:
    """Read valence and arousal by track from predictions, mapped to 0..1; both of each.

    Raises UsageError where no track has both as numbers.
    """
    values: dict[str, dict[str, float]] = {}
    for row in rows:
        scale = row.parse_scale()
        if row.level == TRACK and row.target in AXES and isinstance(scale, Range):
            unit = scale.to_unit(np.array([math.nan if row.value is None else row.value]))
            values.setdefault(row.track_id, {})[row.target] = float(unit[0])
    both = {track: of for track, of in values.items() if len(of) == len(AXES)}
    if not both:
        raise UsageError(source, "has no track with valence and arousal", "predict both numbers")
    return both


def read_plane(values: Mapping[str, Mapping[str, float]], track_ids: Sequence[str]) -> FloatArray:
    """Lay out valence and arousal of some tracks: (n, 2)."""
    return np.array([[values[track][axis] for axis in AXES] for track in track_ids])
