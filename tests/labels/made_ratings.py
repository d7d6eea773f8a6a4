"""Ratings that the tests of labels are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hypothesis import strategies as st

from mertools.labels.ratings import Rating, Ratings, collect_ratings

Rated = Mapping[str, Sequence[int]]


def annotations_of(rated: Mapping[str, Rated]) -> list[Rating]:
    """Turn target, track and the ratings by annotators a0, a1, ... into annotations."""
    return [
        Rating(track, f"a{place}", target, float(value))
        for target, tracks in rated.items()
        for track, values in tracks.items()
        for place, value in enumerate(values)
    ]


def collect(annotations: Iterable[Rating]) -> Ratings:
    return collect_ratings([("ratings.csv", annotations)])


@st.composite
def annotations(draw: st.DrawFn, *, n_levels: int = 3) -> list[Rating]:
    """Draw ratings by some of six annotators for some of eight tracks and two targets."""
    keys = st.tuples(
        st.sampled_from([f"t{n}" for n in range(8)]),
        st.sampled_from([f"a{n}" for n in range(6)]),
        st.sampled_from(["arousal", "valence"]),
    )
    chosen = draw(st.dictionaries(keys, st.integers(1, n_levels), min_size=1, max_size=60))
    return [Rating(*key, float(value)) for key, value in chosen.items()]
