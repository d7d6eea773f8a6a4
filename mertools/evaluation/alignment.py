"""Probabilistic emotion alignment: how near posteriors are to the annotators' distributions.

For a track, P is the model's posterior and Q the distribution of the annotators' ratings over the
classes. JSD(P, Q) = KL(P, M) / 2 + KL(Q, M) / 2, M their midpoint (Lin, *Divergence measures based
on the Shannon entropy*, IEEE Transactions on Information Theory 37, 1991); it is the square of
`scipy.spatial.distance.jensenshannon`. The similarity is exp(-JSD).

For comparison, answers that need no model are scored on the same tracks: a uniform posterior, the
mean distribution of other tracks, and one half of a track's annotators against the other half.

n is the number of tracks, K of classes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mertools.artifacts.rows import Alignment, Label
from mertools.evaluation.join import TRACK, TRAIN, JoinedTarget
from mertools.evaluation.outcomes import ClassOutcomes, FloatArray
from mertools.evaluation.significance import CONFIDENCE, bootstrap_intervals
from mertools.version import __version__

SCHEMA_NAME = "alignment"
SCHEMA_VERSION = "1.1"
N_HALVINGS = 200
"""How often each track's ratings are split in two."""
COUNT_TOLERANCE = 0.05
"""How far a share times the number of annotators may be from a whole number of them."""

Json = dict[str, Any]


def jensen_shannon(P: FloatArray, Q: FloatArray, base: float = math.e) -> FloatArray:
    """Give the Jensen-Shannon divergence of distributions, (...) from (..., K) and (..., K).

    In nats, or in units of log `base`. Each is first divided by its sum, as tables round them.
    """
    P = P / P.sum(axis=-1, keepdims=True)
    Q = Q / Q.sum(axis=-1, keepdims=True)
    M = (P + Q) / 2
    divergence = (_relative_entropy(P, M) + _relative_entropy(Q, M)) / (2 * math.log(base))
    # Rounding can take it past its bounds.
    clipped: FloatArray = np.clip(divergence, 0, math.log(2, base))
    return clipped


def _relative_entropy(P: FloatArray, M: FloatArray) -> FloatArray:
    """Give KL(P, M) in nats; M is above 0 wherever P is, but for what underflows."""
    # Where P is 0 the ratio stays 1 and its logarithm 0, as 0 log 0 counts as 0.
    ratios = np.divide(P, M, out=np.ones_like(P), where=(P > 0) & (M > 0))
    divergence: FloatArray = (P * np.log(ratios)).sum(axis=-1)
    return divergence


@dataclass(frozen=True)
class Scored:
    """How near answers are to the annotators' distributions: (n,) each, one value a track."""

    jsd: FloatArray
    similarity: FloatArray

    @classmethod
    def between(cls, P: FloatArray, Q: FloatArray, base: float) -> Scored:
        """Score distributions, (n, K) and (n, K)."""
        jsd = jensen_shannon(P, Q, base)
        return cls(jsd, np.exp(-jsd))


@dataclass(frozen=True)
class TargetAlignment:
    """One target's alignment: of the predictions, and of answers that need no model.

    `prior` is None where a track has no other to take it from. `split_half` is over the tracks
    whose single ratings are known and are two or more, and None where there are none.
    """

    classes: tuple[str, ...]
    track_ids: tuple[str, ...]
    predictions: Scored
    uniform: Scored
    prior: Scored | None
    split_half: Scored | None


def align(
    joined: Mapping[str, JoinedTarget],
    labels: Sequence[Label],
    base: float,
    seed: int,
) -> dict[str, TargetAlignment]:
    """Align the posteriors of every target of classes that has scored tracks, at track level.

    Labels of a stretch of a track take no part, and targets that are numbers have no distribution.
    """
    of_target: dict[str, dict[str, Label]] = {target: {} for target in joined}
    for row in labels:
        if row.target in joined and row.start is None:
            of_target[row.target][row.track_id] = row
    aligned = {}
    for target, entry in joined.items():
        outcomes = entry.levels.get(TRACK)
        if isinstance(outcomes, ClassOutcomes):
            aligned[target] = _align_target(outcomes, of_target[target], base, seed)
    return aligned


def _align_target(
    outcomes: ClassOutcomes, labels: Mapping[str, Label], base: float, seed: int
) -> TargetAlignment:
    track_ids = outcomes.track_ids
    Q = np.array([labels[track_id].distribution for track_id in track_ids])
    prior = prior_distributions(track_ids, labels)
    counts = [count_ratings(labels[track_id]) for track_id in track_ids]
    of_rows = Scored.between(outcomes.posteriors, Q[outcomes.track], base)
    # Repetitions of cross-validation give a track several rows, of which the mean counts.
    n_rows = np.bincount(outcomes.track)
    return TargetAlignment(
        outcomes.classes,
        track_ids,
        Scored(
            np.bincount(outcomes.track, of_rows.jsd) / n_rows,
            np.bincount(outcomes.track, of_rows.similarity) / n_rows,
        ),
        Scored.between(np.ones_like(Q), Q, base),
        None if prior is None else Scored.between(prior, Q, base),
        split_half([count for count in counts if count is not None], base, seed),
    )


def prior_distributions(track_ids: Sequence[str], labels: Mapping[str, Label]) -> FloatArray | None:
    """Give for each track, (n, K), the mean distribution of the other kept tracks of a target.

    Where any are marked train, of those only: no track's own ratings are in its prior, and no
    other test track's. `labels` are the target's, by track. None where a track has no other.
    """
    kept = [row for row in labels.values() if row.kept]
    trained = [row for row in kept if row.split == TRAIN] or kept
    sources = {row.track_id: np.array(row.distribution) for row in trained}
    # In the order of their names, so that rounding does not follow that of the table.
    total = np.sum([sources[name] for name in sorted(sources)], axis=0)
    n_others = np.array([len(sources) - (name in sources) for name in track_ids])
    if not n_others.all():
        return None
    others = np.array([total - sources.get(name, 0.0) for name in track_ids])
    # Subtracting from a sum can leave a share a little below 0.
    prior: FloatArray = np.maximum(others, 0) / n_others[:, np.newaxis]
    return prior


def count_ratings(label: Label) -> NDArray[np.int64] | None:
    """Count the annotators who chose each class, (K,), from their number and their shares.

    None where the shares are not those of so many annotators, each with one choice, or their number
    is not known.
    """
    if label.n_annotators is None:
        return None
    products = label.n_annotators * np.array(label.distribution)
    counts: NDArray[np.int64] = np.rint(products).astype(np.int64)
    # Tables round shares, so a product may be a little off. Halves, as in quadrants, are refused.
    if counts.sum() != label.n_annotators or np.abs(products - counts).max() > COUNT_TOLERANCE:
        return None
    return counts


def split_half(
    counts: Sequence[NDArray[np.int64]], base: float, seed: int, n_halvings: int = N_HALVINGS
) -> Scored | None:
    """Score one random half of each track's ratings against the other, on average over halvings.

    `counts` holds (K,) ratings of each class for every track; of an odd number, one half has one
    more. Who gave a rating does not matter, as every track is halved for itself. Tracks with one
    rating are left out; None where no other is left.
    """
    generator = np.random.default_rng(seed)
    scored = []
    for of_track in counts:
        n_ratings = int(of_track.sum())
        if n_ratings < 2:
            continue
        # Drawing from the counts equals shuffling the annotators, and needs no list of them.
        half = generator.multivariate_hypergeometric(of_track, n_ratings // 2, size=n_halvings)
        other = of_track - half
        each = Scored.between(half.astype(np.float64), other.astype(np.float64), base)
        scored.append((each.jsd.mean(), each.similarity.mean()))
    if not scored:
        return None
    jsd, similarity = np.array(scored).T
    return Scored(jsd, similarity)


def alignment_rows(aligned: Mapping[str, TargetAlignment]) -> Iterator[Alignment]:
    """Yield the rows of alignment.csv by track and target."""
    rows = [
        Alignment(track_id, target, float(jsd), float(similarity))
        for target, entry in aligned.items()
        for track_id, jsd, similarity in zip(
            entry.track_ids, entry.predictions.jsd, entry.predictions.similarity, strict=True
        )
    ]
    yield from sorted(rows, key=lambda row: (row.track_id, row.target))


def summarise(
    joined: Mapping[str, JoinedTarget],
    aligned: Mapping[str, TargetAlignment],
    n_resamples: int,
    seed: int,
) -> Json:
    """Describe the means over tracks, and their bootstrap intervals, as plain JSON values.

    What the tables were read from is the caller's to add.
    """
    return {
        "schema": SCHEMA_NAME,
        "schema_version": SCHEMA_VERSION,
        "producer": "mertools",
        "producer_version": __version__,
        "provenance": {
            "confidence": CONFIDENCE,
            "n_resamples": n_resamples,
            "n_halvings": N_HALVINGS,
            "seed": seed,
        },
        "coverage": {
            target: dataclasses.asdict(entry.coverage) for target, entry in joined.items()
        },
        "targets": {
            target: {
                "classes": list(entry.classes),
                **{
                    name: _describe(getattr(entry, name), n_resamples, seed)
                    for name in ("predictions", "uniform", "prior", "split_half")
                },
            }
            for target, entry in aligned.items()
        },
    }


def _describe(scored: Scored | None, n_resamples: int, seed: int) -> Json | None:
    if scored is None:
        return None
    values = {"jsd": scored.jsd, "similarity": scored.similarity}
    n_tracks = len(scored.jsd)

    def mean(weights: FloatArray) -> dict[str, FloatArray]:
        # Not a matrix product: its last digits depend on how many threads BLAS takes.
        return {name: (weights * of).sum(axis=1) / n_tracks for name, of in values.items()}

    intervals = bootstrap_intervals(mean, n_tracks, n_tracks, n_resamples, seed)
    return {
        "n_tracks": n_tracks,
        **{name: float(of.mean()) for name, of in values.items()},
        "intervals": {name: list(ends) for name, ends in intervals.items()},
    }
