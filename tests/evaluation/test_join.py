from __future__ import annotations

import numpy as np
import pytest
from made_outcomes import corpus_tables, label, prediction

from mertools.artifacts.rows import Label, Prediction
from mertools.errors import SchemaError
from mertools.evaluation.join import Coverage, join_tables
from mertools.evaluation.report import build_report, compare, format_json

SURE = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])


def test_rows_meet_by_track_and_target_whatever_their_order() -> None:
    labels, predictions = corpus_tables()
    report = format_json(build_report(join_tables(predictions, labels), 50, 0))
    generator = np.random.default_rng(1)
    labels = [labels[place] for place in generator.permutation(len(labels))]
    predictions = [predictions[place] for place in generator.permutation(len(predictions))]
    assert format_json(build_report(join_tables(predictions, labels), 50, 0)) == report


def test_track_without_a_row_of_its_own_gets_the_mean_of_its_segments() -> None:
    rows = [
        prediction("a", [0.6, 0.4, 0.0], 0),
        prediction("a", [0.0, 0.5, 0.5], 1),
        prediction("b", SURE[0], 0),
        prediction("b", SURE[2]),
    ]
    joined = join_tables(rows, [label("a", 2), label("b", 3)])["arousal"]
    tracks = joined.levels["track"]
    assert tracks.track_ids == ("a", "b")
    assert tracks.posteriors.tolist() == [[0.3, 0.45, 0.25], [0, 0, 1]]
    assert tracks.estimated.tolist() == [1, 2]
    assert tracks.values[0] == pytest.approx(1.95)
    assert joined.levels["segment"].estimated.tolist() == [0, 1, 0]
    assert joined.coverage.averaged == 1


def test_predictions_of_tracks_alone_have_no_segment_level() -> None:
    joined = join_tables([prediction("a", SURE[0])], [label("a", 1)])
    assert list(joined["arousal"].levels) == ["track"]


def test_predicted_class_counts_even_where_another_has_the_highest_posterior() -> None:
    row = prediction("a", [0.4, 0.35, 0.25], predicted="neutral")
    tracks = join_tables([row], [label("a", 2)])["arousal"].levels["track"]
    assert tracks.estimated.tolist() == [1]


def test_every_row_that_is_not_scored_is_counted() -> None:
    labels = [
        label("scored", 1, split="test"),
        label("not kept", 1, split="test", kept=False),
        label("other split", 1, split="train"),
        label("not marked", 1),
        label("not predicted", 1, split="test"),
    ]
    names = ["scored", "not kept", "other split", "not marked", "not labelled"]
    joined = join_tables([prediction(name, SURE[0]) for name in names], labels, "test")
    assert joined["arousal"].coverage == Coverage(
        scored=1,
        averaged=0,
        predictions_without_label=1,
        predictions_not_kept=1,
        predictions_of_other_split=2,
        labels_without_prediction=1,
    )
    assert joined["arousal"].levels["track"].track_ids == ("scored",)


def test_targets_are_apart_and_those_that_are_not_predicted_are_passed_over() -> None:
    names = {"classes": "low|high"}
    binary = {"target": "tension", "class_name": "high", "distribution": (0.0, 1.0)}
    labels = [label("a", 1), label("a", 2, **binary), label("a", 1, target="only labelled")]
    predictions = [
        prediction("a", SURE[0]),
        prediction("a", [0.2, 0.8], target="tension", predicted="high", value=None, **names),
        prediction("a", SURE[0], target="only predicted"),
    ]
    joined = join_tables(predictions, labels)
    assert {name: tuple(entry.levels) for name, entry in joined.items()} == {
        "arousal": ("track",),
        "only predicted": (),
        "tension": ("track",),
    }
    assert joined["tension"].classes == ("low", "high")
    assert np.isnan(joined["tension"].levels["track"].values).all()
    assert joined["only predicted"].coverage.predictions_without_label == 1


def test_class_that_no_label_has_is_no_mismatch() -> None:
    joined = join_tables([prediction("a", SURE[0])], [label("a", 1)])
    assert joined["arousal"].classes == ("weak", "neutral", "strong")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (prediction("b", SURE[0], 4, classes="a|b|c"), r"row 2 \(segment b_4, arousal\) has the"),
        (prediction("b", SURE[0], scale="unordered"), r"has the scale unordered, .* row ordered"),
        (
            prediction("a", SURE[0], 1, fold=2),
            "is of fold 2, another row of the track of fold None",
        ),
        (prediction("a", SURE[0], segment_id="x"), "second at track level"),
    ],
)
def test_prediction_that_breaks_the_rules_is_named(row: Prediction, problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        join_tables([prediction("a", SURE[0]), row], [label("a", 1)])


def test_posteriors_that_another_program_rounded_are_taken() -> None:
    row = prediction("a", [0.333, 0.333, 0.333], predicted="weak")
    assert join_tables([row], [label("a", 1)])["arousal"].coverage.scored == 1


@pytest.mark.parametrize(
    "other",
    [
        label("b", 1, class_name="low"),
        label("b", 1, distribution=(0.5, 0.5)),
        label("b", 3, label=4, distribution=(0.0, 0.0, 1.0)),
    ],
)
def test_labels_of_other_classes_are_refused(other: Label) -> None:
    with pytest.raises(SchemaError, match=r"L: has .* of arousal, where P has weak\|neutral"):
        join_tables(
            [prediction("a", SURE[0])],
            [label("a", 1), other],
            predictions_name="P",
            labels_name="L",
        )


def test_comparison_is_on_the_tracks_of_both() -> None:
    labels = [label(name, 1) for name in "abcd"]
    first = join_tables([prediction(name, SURE[0]) for name in "abc"], labels)
    other = join_tables([prediction(name, SURE[1]) for name in "cdb"], labels)
    result = compare(first, other, other_name="O", paired=True, n_shuffles=99, seed=0)["arousal"]
    counts = {name: result[name] for name in result if "tracks" in name}
    assert counts == {"n_tracks": 2, "tracks_of_first_only": 1, "tracks_of_other_only": 1}
    assert result["scores"]["accuracy"]["difference"] == 1


def test_comparison_of_other_classes_is_refused() -> None:
    first = join_tables([prediction("a", SURE[0])], [label("a", 1)])
    names = {"classes": "weak|neutral|loud", "predicted": "weak"}
    other = join_tables([prediction("a", SURE[0], **names)], [label("a", 1)])
    with pytest.raises(SchemaError, match="O: has the classes weak, neutral, loud"):
        compare(first, other, other_name="O", paired=True, n_shuffles=9, seed=0)
