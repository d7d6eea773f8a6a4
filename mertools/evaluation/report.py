"""The contents of metrics.json: every figure of every target and level, as plain JSON values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mertools.errors import SchemaError
from mertools.evaluation.groups import Group
from mertools.evaluation.join import LEVELS, WINDOW, JoinedTarget
from mertools.evaluation.levels import (
    Json,
    describe_classes,
    describe_numbers,
    describe_quadrants,
    describe_scores,
    describe_within_tracks,
)
from mertools.evaluation.outcomes import ClassOutcomes
from mertools.evaluation.quadrants import AXES, Centres, Plane, find_plane
from mertools.evaluation.significance import (
    CONFIDENCE,
    correct_by_holm,
    permutation_test,
)
from mertools.version import __version__

SCHEMA_NAME = "metrics"
SCHEMA_VERSION = "1.3"


def build_report(
    joined: Mapping[str, JoinedTarget], n_resamples: int, seed: int, centres: Centres = "train"
) -> Json:
    """Describe every target's scores at every level; `centres` are those of quadrants.

    What the tables were read from, warnings and comparisons with others are the caller's to add.
    """
    planes = {level: find_plane(joined, level, centres) for level in LEVELS}
    return {
        "schema": SCHEMA_NAME,
        "schema_version": SCHEMA_VERSION,
        "producer": "mertools",
        "producer_version": __version__,
        "provenance": {"confidence": CONFIDENCE, "n_resamples": n_resamples, "seed": seed},
        "coverage": {
            target: dataclasses.asdict(entry.coverage) for target, entry in joined.items()
        },
        "targets": {
            target: {
                "scale": str(entry.scale),
                **({"classes": list(entry.classes)} if entry.classes else {}),
                "levels": {
                    level: _describe_level(target, entry, level, planes[level], n_resamples, seed)
                    for level in entry.levels
                },
            }
            for target, entry in joined.items()
            if entry.levels
        },
        "quadrants": {
            level: describe_quadrants(plane, n_resamples, seed)
            for level, plane in planes.items()
            if plane is not None
        },
    }


def _describe_level(
    target: str,
    entry: JoinedTarget,
    level: str,
    plane: Plane | None,
    n_resamples: int,
    seed: int,
) -> Json:
    outcomes = entry.levels[level]
    if isinstance(outcomes, ClassOutcomes):
        return describe_classes(outcomes, n_resamples, seed)
    # Windows are scored by labels of stretches, so their mean is that of stretches as well.
    training = [
        mean
        for (_, start), mean in entry.training.items()
        if (start is not None) == (level == WINDOW)
    ]
    of_plane = plane if target in AXES else None
    described = describe_numbers(outcomes, target, training, of_plane, n_resamples, seed)
    if level == WINDOW:
        described["within_tracks"] = describe_within_tracks(outcomes, n_resamples, seed)
    return described


def describe_groups(
    joined: Mapping[str, JoinedTarget], groups: Sequence[Group], n_resamples: int, seed: int
) -> list[Json]:
    """Describe the scores of some groups of tracks; groups without a scored track are left out."""
    described = []
    for group in groups:
        targets: Json = {}
        for target, entry in joined.items():
            levels = {
                level: outcomes.of_tracks(group.track_ids)
                for level, outcomes in entry.levels.items()
            }
            scored = {
                level: describe_scores(outcomes, n_resamples, seed)
                for level, outcomes in levels.items()
                if outcomes.track_ids
            }
            if scored:
                targets[target] = scored
        if targets:
            bounds = {} if group.low is None else {"low": group.low, "high": group.high}
            described.append({"name": group.name, **bounds, "targets": targets})
    return described


def compare(
    first: Mapping[str, JoinedTarget],
    other: Mapping[str, JoinedTarget],
    *,
    other_name: str,
    paired: bool,
    n_shuffles: int,
    seed: int,
) -> dict[str, Json]:
    """Compare two models at track level, for each target on the tracks that both predict.

    Where only stretches of tracks are labelled, at the level of windows. Targets without a common
    track are left out. Raises SchemaError where the scales or classes differ.
    """
    comparisons = {}
    for target, entry in first.items():
        if target not in other or not (entry.levels and other[target].levels):
            continue
        if entry.scale != other[target].scale:
            raise SchemaError(
                other_name,
                f"has the classes {', '.join(other[target].classes)} of {target}, "
                f"the table it is compared with {', '.join(entry.classes)}",
                "compare models of the same classes",
            )
        level = entry.main_level
        ours, theirs = entry.levels[level], other[target].levels[level]
        shared = set(ours.track_ids) & set(theirs.track_ids)
        if not shared:
            continue
        scores = permutation_test(
            ours.of_tracks(shared),
            theirs.of_tracks(shared),
            paired=paired,
            n_shuffles=n_shuffles,
            seed=seed,
        )
        comparisons[target] = {
            "level": level,
            "n_tracks": len(shared),
            "tracks_of_first_only": len(ours.track_ids) - len(shared),
            "tracks_of_other_only": len(theirs.track_ids) - len(shared),
            "scores": scores,
        }
    return comparisons


def add_corrected(comparisons: Sequence[Mapping[str, Json]]) -> None:
    """Add to each test of some comparisons the p-value corrected for their number.

    The comparisons of one target by one score are corrected together.
    """
    for target in {target: None for of_pair in comparisons for target in of_pair}:
        of_target = [of_pair[target]["scores"] for of_pair in comparisons if target in of_pair]
        for name in of_target[0]:
            # A score that is not defined has no p, and is no test to correct for.
            tests = [scores[name] for scores in of_target if scores[name]["p"] is not None]
            for test, p in zip(tests, correct_by_holm([t["p"] for t in tests]), strict=True):
                test["p_holm"] = p


def format_json(value: Any, indent: str = "") -> str:
    """Write JSON with sorted keys, a line for each member of an object and for each list.

    Raises ValueError on numbers that JSON does not have.
    """
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        members = (
            f"{deeper}{json.dumps(key)}: {format_json(member, deeper)}"
            for key, member in sorted(value.items())
        )
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        items = (f"{deeper}{format_json(item, deeper)}" for item in value)
        return "[\n" + ",\n".join(items) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)
