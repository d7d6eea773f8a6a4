"""Ratings as numbers, words and over time, and the labels that `mer aggregate-labels` makes."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_aggregate_labels import labels_in, mer, refused, table_of

from mertools.artifacts.rows import Label
from mertools.artifacts.tables import read_table
from mertools.artifacts.validate import problems_of
from mertools.labels.agreement import interval_alpha, krippendorff_alpha

SLIDERS = [
    ("x", "a", "arousal", 2.5),
    ("x", "b", "arousal", 4.5),
    ("y", "a", "arousal", 9),
    ("y", "b", "arousal", 6.5),
    ("y", "c", "arousal", 7),
]


def by_track(labels: list[Label], target: str) -> dict[str, Label]:
    return {label.track_id: label for label in labels if label.target == target}


def test_real_ratings_are_numbers(tmp_path: Path) -> None:
    result = mer("-", "--scale", "arousal=1..9", stdin=table_of(SLIDERS))
    assert result.stdout == (
        "track_id,target,n_annotators,mean,std,mad,label,class,kept,split,scale\n"
        "x,arousal,2,3.5,1.0,1.0,,,true,,1..9\n"
        "y,arousal,3,7.5,1.08012345,1.0,,,true,,1..9\n"
    )
    labels_in(result, tmp_path)
    assert list(problems_of(tmp_path / "labels.csv")) == []


def test_rescaling_is_linear_in_mean_and_spread(tmp_path: Path) -> None:
    stdin = table_of(SLIDERS)
    given_ = by_track(labels_in(mer("-", "--scale", "1..9", stdin=stdin), tmp_path), "arousal")
    options = ["--scale", "1..9", "--rescale", "arousal=-1..1"]
    mapped = by_track(labels_in(mer("-", *options, stdin=stdin), tmp_path), "arousal")
    for track, label in mapped.items():
        assert label.scale == "-1..1"
        assert label.mean == pytest.approx((given_[track].mean - 5) / 4, abs=1e-9)
        assert label.std == pytest.approx(given_[track].std / 4, abs=1e-8)
        assert label.mad == pytest.approx(given_[track].mad / 4, abs=1e-8)


def test_known_levels_are_rescaled_without_a_scale(tmp_path: Path) -> None:
    rows = [("x", "a", "valence", 1), ("x", "b", "valence", 2), ("x", "a", "mood", 2)]
    result = mer("-", "--rescale", "valence=0..1", stdin=table_of(rows))
    valence = by_track(labels_in(result, tmp_path), "valence")["x"]
    assert (valence.mean, valence.scale, valence.label) == (0.25, "0..1", None)
    said = refused("-", "--rescale", "mood=0..1", stdin=table_of(rows))
    assert "the scale on which mood was rated is not known: give it with --scale mood=" in said


def test_ratings_become_classes_by_thresholds_on_their_own_scale(tmp_path: Path) -> None:
    # 3.5 and 6.5 themselves are mid: they are nearer the middle than low and high are.
    options = ["--scale", "arousal=1..9", "--thresholds", "arousal=3.5,6.5"]
    stdin = table_of(SLIDERS)
    result = mer("-", *options, "--classes", "arousal=low,mid,high", stdin=stdin)
    labels = by_track(labels_in(result, tmp_path), "arousal")
    assert labels["x"].distribution == (0.5, 0.5, 0)
    assert labels["y"].distribution == pytest.approx((0, 1 / 3, 2 / 3))
    assert [label.class_name for label in labels.values()] == ["mid", "high"]  # 3.5 and 7.5
    assert (labels["x"].mean, labels["x"].std, labels["x"].mad) == (1.5, 0.5, 0.5)  # of levels
    assert labels["x"].scale == "ordered"
    named = by_track(labels_in(mer("-", *options, stdin=stdin), tmp_path), "arousal")
    assert [label.class_name for label in named.values()] == ["neutral", "strong"]
    counted = mer("-", "--scale", "1..9", "--thresholds", "2,4,6,8", stdin=stdin)
    assert by_track(labels_in(counted, tmp_path), "arousal")["x"].class_name == "2"


def test_classes_without_thresholds_cut_the_scale_into_equal_parts(tmp_path: Path) -> None:
    options = ["--scale", "arousal=1..9", "--classes", "arousal=low,high"]
    labels = by_track(labels_in(mer("-", *options, stdin=table_of(SLIDERS)), tmp_path), "arousal")
    assert [label.distribution for label in labels.values()] == [(1, 0), (0, 1)]


def test_one_target_has_a_scale_and_the_other_levels(tmp_path: Path) -> None:
    rows = [("x", "a", "arousal", 2), ("x", "a", "valence", 2.25)]
    result = mer("-", "--scale", "valence=1..3", stdin=table_of(rows))
    arousal, valence = labels_in(result, tmp_path)
    assert (arousal.scale, arousal.distribution) == ("ordered", (0, 1, 0))
    assert (valence.scale, valence.distribution, valence.mean) == ("1..3", (), 2.25)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 800)), min_size=1, max_size=30, unique=True
    )
)
def test_numbers_are_the_statistics_of_ratings(pairs: list[tuple[int, int]]) -> None:
    """The mean, compared with thresholds, is that of the decimals that were written."""
    rows = [
        (f"t{track}", f"a{n}", "arousal", 1 + value / 100) for n, (track, value) in enumerate(pairs)
    ]
    options = ["--scale", "1..9", "--thresholds", "3.5,6.5"]
    numbers = mer("-", "--scale", "1..9", stdin=table_of(rows)).stdout.splitlines()[1:]
    classes = mer("-", *options, stdin=table_of(rows)).stdout.splitlines()[1:]
    means = defaultdict(list)
    for track, value in pairs:
        means[f"t{track}"].append(1 + Fraction(value, 100))
    for number, label in zip(numbers, classes, strict=True):
        cells = number.split(",")
        exact = sum(means[cells[0]]) / len(means[cells[0]])
        assert float(cells[3]) == pytest.approx(float(exact), abs=1e-9)
        expected = 1 + (exact >= Fraction(7, 2)) + (exact > Fraction(13, 2))
        assert int(label.split(",")[6]) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scale", "arousal=1..6"], "line 4, column value is 9, outside the scale 1..6"),
        (["--scale", "arousal=9..1"], "--scale arousal=9..1"),
        (["--scale", "arousal=nominal"], "--scale arousal=nominal"),
        (["--scale", "arousl=1..9", "--scale", "1..9"], "arousl: nobody rated it"),
        (["--scale", "1..9", "--thresholds", "0.5,6.5"], "not rising numbers between 1 and 9"),
        (["--scale", "1..9", "--thresholds", "3", "--rescale", "0..1"], "choose one"),
        (["--scale", "1..9", "--quadrants"], "--quadrants: nobody rated valence (found: arousal)"),
        (["--quadrant-centre", "5"], "--quadrant-centre: divides nothing"),
        (["--scale", "1..9", "--column", "arousal"], "has no column arousal"),
        (["--scale", "1..9", "--group", "artist", "--test-fraction", "0.5"], "--groups"),
        (["--validation-fraction", "0.6", "--test-fraction", "0.6"], "more than all tracks"),
        (["--validation-fraction", "0.6", "--split-file", "x.csv"], "two ways to split"),
    ],
)
def test_wrong_usage_of_scales(arguments: list[str], said: str) -> None:
    assert said in refused("-", *arguments, stdin=table_of(SLIDERS))


def test_missing_ratings_are_left_out_and_counted(tmp_path: Path) -> None:
    rows: list[Any] = [("x", "a", "arousal", 1), ("x", "b", "arousal", ""), ("y", "a", "mood", "")]
    summary = tmp_path / "s.json"
    result = mer("-", "--summary", summary, stdin=table_of(rows))
    (label,) = labels_in(result, tmp_path)
    assert label.n_annotators == 1
    assert "arousal: 1 missing rating left out" in result.stderr
    (target,) = json.loads(summary.read_text())["targets"]
    assert (target["n_missing"], target["n_ratings"]) == (1, 1)


WORDS: list[Any] = [
    ("x", "a", "genre", "rock"),
    ("x", "b", "genre", "pop"),
    ("y", "a", "genre", "jazz"),
    ("y", "b", "genre", "rock"),
    ("y", "c", "genre", "rock"),
]


def test_words_are_unordered_classes(tmp_path: Path) -> None:
    result = mer("-", stdin=table_of(WORDS))
    assert result.stdout == (
        "track_id,target,n_annotators,mean,std,mad,label,class,kept,p_1,p_2,p_3,split,scale\n"
        "x,genre,2,,,,2,pop,true,0.0,0.5,0.5,,unordered\n"
        "y,genre,3,,,,3,rock,true,0.333333333,0.0,0.666666667,,unordered\n"
    )
    # The tie on x goes to the first class, whatever the classes' order is.
    chosen = mer("-", "--classes", "genre=rock,pop,jazz,folk", stdin=table_of(WORDS))
    x, _ = labels_in(chosen, tmp_path)
    assert (x.class_name, x.label, x.distribution) == ("rock", 1, (0.5, 0.5, 0, 0))
    said = refused("-", "--classes", "genre=rock,pop", stdin=table_of(WORDS))
    assert "line 4, column value is 'jazz', none of the classes rock, pop" in said


def test_words_of_a_known_ordered_target_are_its_levels(tmp_path: Path) -> None:
    rows: list[Any] = [("x", "a", "arousal", "Strong"), ("x", "b", "arousal", "2")]
    (label,) = labels_in(mer("-", stdin=table_of(rows)), tmp_path)
    assert (label.mean, label.scale) == (2.5, "ordered")
    rows.append(("y", "a", "arousal", "loud"))
    assert "line 4, column value is 'loud', which is no class of arousal" in refused(
        "-", stdin=table_of(rows)
    )
    tempo: list[Any] = [("x", "a", "tempo", "slow"), ("x", "b", "tempo", "fast")]
    options = ["--classes", "tempo=slow,medium,fast", "--scale", "tempo=ordered"]
    (label,) = labels_in(mer("-", *options, stdin=table_of(tempo)), tmp_path)
    assert (label.mean, label.class_name) == (2, "medium")


def test_numbers_are_words_where_they_name_classes(tmp_path: Path) -> None:
    rows: list[Any] = [("x", "a", "era", "80s"), ("x", "b", "era", 1990)]
    said = refused("-", stdin=table_of(rows))
    assert "not a rating of era" in said
    rows[1] = ("x", "b", "era", 2)
    assert "in numbers and in words ('80s' and 2.0)" in refused("-", stdin=table_of(rows))
    (label,) = labels_in(mer("-", "--scale", "era=unordered", stdin=table_of(rows)), tmp_path)
    assert (label.class_name, label.distribution) == ("2", (0.5, 0.5))


def test_a_deviation_of_words_cannot_be_limited() -> None:
    said = refused("-", "--max-mad", "genre=0.5", stdin=table_of(WORDS))
    assert "genre is rated in words" in said
    assert "p" in mer("-", "--max-mad", "0.5", stdin=table_of(WORDS)).stdout


def test_any_column_is_a_target(tmp_path: Path) -> None:
    table = 'track_id,path,duration,genre,"bpm"\nx,x.ogg,30,rock,100\ny,y.ogg,31,pop,80.5\n'
    result = mer("-", "--column", "genre", "--column", "tempo=bpm", "--scale", "tempo=20..300",
                 stdin=table)  # fmt: skip
    labels = labels_in(result, tmp_path)
    assert {(label.track_id, label.target): label.class_name or label.mean for label in labels} == {
        ("x", "genre"): "rock",
        ("x", "tempo"): 100,
        ("y", "genre"): "pop",
        ("y", "tempo"): 80.5,
    }
    assert "has no column artist" in refused("-", "--column", "artist", stdin=table)
    assert "give a table with the columns track_id" in refused(
        "-", "--column", "genre", stdin="path,genre\nx,rock\n"
    )


def test_rows_of_a_track_are_by_as_many_annotators(tmp_path: Path) -> None:
    table = "track_id,mood\nx,calm\nx,tense\nx,tense\ny,calm\n"
    x, y = labels_in(mer("-", "--column", "mood", stdin=table), tmp_path)
    assert (x.n_annotators, x.class_name, y.n_annotators) == (3, "tense", 1)
    named = "track_id,annotator_id,mood\nx,ada,calm\nx,ada,tense\n"
    assert "annotator ada rates track x" in refused("-", "--column", "mood", stdin=named)


OVER_TIME = (
    "track_id,annotator_id,target,value,start,duration\n"
    "x,a,arousal,0.5,15,0.5\nx,a,arousal,-0.5,15.5,0.5\nx,b,arousal,0.25,15,0.5\n"
    "y,a,arousal,1,0,0.5\ny,a,arousal,0,,\n"
)


def test_ratings_over_time_are_labels_of_stretches(tmp_path: Path) -> None:
    result = mer("-", "--scale", "-1..1", "--test-fraction", "0.5", stdin=OVER_TIME)
    labels = labels_in(result, tmp_path)
    assert [(label.track_id, label.start, label.duration, label.mean) for label in labels] == [
        ("x", 15, 0.5, 0.375),
        ("x", 15.5, 0.5, -0.5),
        ("y", None, None, 0),
        ("y", 0, 0.5, 1),
    ]
    parts = {(label.track_id, label.split) for label in labels}
    assert len(parts) == 2  # a track's stretches are in one part
    assert list(problems_of(tmp_path / "labels.csv")) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x,b,arousal,1,15.5,1\n", "track x from 15.5 s on is rated for 1 s and for 0.5 s"),
        ("x,b,arousal,1,16,\n", "line 7 has only one of start and duration"),
        ("x,b,arousal,1,-1,1\n", "below 0"),
    ],
)
def test_stretches_that_contradict(line: str, said: str) -> None:
    assert said in refused("-", "--scale", "-1..1", stdin=OVER_TIME + line)


QUADRANT_RATINGS: list[Any] = [
    # arousal, valence of annotators a, b, c on 1..3, the centre 2
    ("x", "a", "arousal", 3), ("x", "a", "valence", 3),  # Q1
    ("x", "b", "arousal", 2), ("x", "b", "valence", 1),  # half Q2, half Q3
    ("x", "c", "arousal", 2), ("x", "c", "valence", 2),  # a quarter each
    ("y", "a", "arousal", 1), ("y", "b", "valence", 2),  # nobody rated both; 2 is high
    ("z", "a", "arousal", 1),
]  # fmt: skip


def test_quadrants(tmp_path: Path) -> None:
    result = mer("-", "--quadrants", stdin=table_of(QUADRANT_RATINGS))
    labels = labels_in(result, tmp_path)
    assert [(label.track_id, label.target) for label in labels] == [
        ("x", "arousal"),
        ("x", "quadrant"),
        ("x", "valence"),
        ("y", "arousal"),
        ("y", "quadrant"),
        ("y", "valence"),
        ("z", "arousal"),
    ]
    quadrants = by_track(labels, "quadrant")
    x, y = quadrants["x"], quadrants["y"]
    assert x.distribution == pytest.approx((1.25 / 3, 0.75 / 3, 0.75 / 3, 0.25 / 3))
    assert (x.class_name, x.n_annotators, x.mean, x.scale) == ("Q1", 3, None, "unordered")
    assert (y.class_name, y.n_annotators, y.distribution) == ("Q4", None, (0, 0, 0, 1))
    assert list(problems_of(tmp_path / "labels.csv")) == []


def test_quadrants_are_divided_at_a_centre_on_the_ratings_scale(tmp_path: Path) -> None:
    rows = [("x", "a", "arousal", 4.5), ("x", "a", "valence", 4.5)]
    scale = ["--scale", "1..9", "--rescale", "0..1", "--quadrants"]

    def quadrant(*options: str) -> str | None:
        result = mer("-", *scale, *options, stdin=table_of(rows))
        return by_track(labels_in(result, tmp_path), "quadrant")["x"].class_name

    assert quadrant() == "Q3"
    assert quadrant("--quadrant-centre", "4.5") == "Q1"
    assert quadrant("--quadrant-centre", "arousal=4") == "Q2"
    assert quadrant("--quadrant-centre", "valence=4", "--quadrant-centre", "arousal=5") == "Q4"
    for centre, said in (("10", "outside the scale 1..9"), ("mood=1", "no target that quadrants")):
        assert said in refused("-", *scale, "--quadrant-centre", centre, stdin=table_of(rows))


def test_quadrants_alone(tmp_path: Path) -> None:
    rows = [*QUADRANT_RATINGS, ("x", "a", "mood", 1)]
    for chosen in ([], ["valence"], ["mood", "arousal"]):
        options = [word for name in (*chosen, "quadrant") for word in ("--target", name)]
        labels = labels_in(mer("-", "--quadrants", *options, stdin=table_of(rows)), tmp_path)
        assert {label.target for label in labels} == {*chosen, "quadrant"}
        assert by_track(labels, "quadrant")["x"].n_annotators == 3


def test_a_quadrant_is_kept_where_both_are(tmp_path: Path) -> None:
    rows = [*QUADRANT_RATINGS, ("w", "a", "arousal", 1), ("w", "a", "valence", 1)]
    result = mer("-", "--quadrants", "--max-mad", "valence=0.5", stdin=table_of(rows))
    quadrants = by_track(labels_in(result, tmp_path), "quadrant")
    assert {track: label.kept for track, label in quadrants.items()} == {
        "w": True,
        "x": False,
        "y": True,
    }


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Sixty tracks of twenty artists, of one to five tracks each, and a copy of every fifth."""
    rng = np.random.default_rng(5)
    artists = [f"artist{k:02}" for k in range(20) for _ in range(1 + k % 5)]
    lines = ["track_id,artist,original,mood,age"]
    for n, artist in enumerate(artists):
        mood, age = rng.choice(["calm", "tense", "sad"]), rng.uniform(0, 90)
        lines.append(f"t{n:02},{artist},,{mood},{age:.1f}")
        if n % 5 == 0:
            lines.append(f"t{n:02}-copy,,t{n:02},{mood},{age:.1f}")
            lines.append(f"t{n:02}-copy-copy,,t{n:02}-copy,{mood},{age:.1f}")
    path = tmp_path / "songs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def splits_of(labels: list[Label]) -> dict[str, str | None]:
    return {label.track_id: label.split for label in labels}


def test_validation_is_drawn_beside_the_same_test_part(tmp_path: Path, songs: Path) -> None:
    options = [songs, "--column", "age", "--scale", "0..90", "--test-fraction", "0.2"]
    alone = splits_of(labels_in(mer(*options), tmp_path))
    both = splits_of(labels_in(mer(*options, "--validation-fraction", "0.25"), tmp_path))
    of_units = Counter(part for track, part in both.items() if "copy" not in track)
    assert of_units == {"train": 33, "validation": 15, "test": 12}
    assert {t for t, part in alone.items() if part == "test"} == {
        t for t, part in both.items() if part == "test"
    }
    written = tmp_path / "labels.csv"
    again = mer(songs, "--column", "mood", "--split-file", written)
    assert splits_of(labels_in(again, tmp_path)) == both


def test_a_random_split_is_stratified_by_the_quantiles_of_a_number(
    tmp_path: Path, songs: Path
) -> None:
    options = [songs, "--column", "age", "--scale", "0..90", "--test-fraction", "0.2"]
    labels = [label for label in labels_in(mer(*options), tmp_path) if "copy" not in label.track_id]
    ages = sorted(label.mean for label in labels)
    for fifth in range(5):
        low, high = ages[12 * fifth], ages[12 * fifth + 11]
        tested = [x for x in labels if x.split == "test" and low <= x.mean <= high]
        assert 1 <= len(tested) <= 4


@pytest.mark.parametrize(
    "rule", [["--test-fraction", "0.3", "--validation-fraction", "0.2"], ["--test-fraction", "0.5"]]
)
def test_relatives_are_in_one_part(tmp_path: Path, songs: Path, rule: list[str]) -> None:
    def parts_by(labels: list[Label], *, artists: bool) -> None:
        lines = [line.split(",") for line in songs.read_text().splitlines()[1:]]
        artist = {cells[0]: cells[1] for cells in lines}
        parts = defaultdict(set)
        for label in labels:
            original = label.track_id.split("-")[0]
            parts[artist[original] if artists else original].add(label.split)
        assert all(len(part) == 1 for part in parts.values())
        assert len(set().union(*parts.values())) == 1 + len(rule) // 2

    table = [songs, "--column", "mood", *rule]
    parts_by(labels_in(mer(*table), tmp_path), artists=False)
    parts_by(labels_in(mer(*table, "--group", "artist"), tmp_path), artists=True)
    ratings = tmp_path / "ratings.csv"
    tracks = [line.split(",")[0] for line in songs.read_text().splitlines()[1:]]
    ratings.write_text(table_of([(track, "a", "arousal", 2) for track in tracks]))
    options = [ratings, "--group", "artist", "--groups", songs, *rule]
    parts_by(labels_in(mer(*options), tmp_path), artists=True)


def test_a_split_file_may_not_divide_relatives(tmp_path: Path, songs: Path) -> None:
    split = tmp_path / "split.csv"
    tracks = [line.split(",")[0] for line in songs.read_text().splitlines()[1:]]
    originals = [track for track in tracks if "copy" not in track]
    header = "track_id,split\n"
    split.write_text(header + "".join(f"{t},{'test' if t < 't32' else 'train'}\n"
                                      for t in originals))  # fmt: skip
    options = [songs, "--column", "mood", "--split-file", split]
    parts = splits_of(labels_in(mer(*options), tmp_path))
    assert parts["t05-copy-copy"] == "test"  # copies follow their original
    said = refused(*options, "--group", "artist")
    assert "although they belong together: put tracks of one artist into one part" in said


def test_a_group_is_read_from_the_annotations(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    rows = [f"t{n},a,arousal,{1 + n % 3},song{n // 4}" for n in range(40)]
    table.write_text("\n".join(["track_id,annotator_id,target,value,song", *rows]) + "\n")
    result = mer(table, "--group", "song", "--test-fraction", "0.3")
    parts = defaultdict(set)
    for track, part in splits_of(labels_in(result, tmp_path)).items():
        parts[int(track[1:]) // 4].add(part)
    assert all(len(part) == 1 for part in parts.values())
    table.write_text(table.read_text() + "t3,b,arousal,1,song9\n")
    assert "line 42 gives track t3 the song song9, but it has song0" in refused(
        table, "--group", "song", "--test-fraction", "0.3"
    )


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40)), min_size=2, max_size=40))
def test_alpha_of_numbers_is_the_packages(pairs: list[tuple[int, int]]) -> None:
    item = np.array([track for track, _ in pairs])
    value = np.array([rating / 8 for _, rating in pairs])
    alpha = interval_alpha(item, value)
    table = np.full((len(pairs), 7), np.nan)
    for row, (track, rating) in enumerate(pairs):
        table[row, track] = rating / 8
    pairable = table[:, (~np.isnan(table)).sum(axis=0) > 1]
    if alpha is None:
        assert len(np.unique(pairable[~np.isnan(pairable)])) < 2
    else:
        reference = krippendorff.alpha(pairable, level_of_measurement="interval")
        assert alpha == pytest.approx(reference, abs=1e-9)


def test_agreement_on_words(tmp_path: Path) -> None:
    summary = tmp_path / "s.json"
    mer("-", "--summary", summary, stdin=table_of(WORDS))
    (target,) = json.loads(summary.read_text())["targets"]
    assert target["measurement"] == "nominal"
    assert target["mean_disagreement"] == pytest.approx(2 / 5)
    assert target["annotators"] == {"a": 1.0, "b": 0.0, "c": 0.0}
    counts = np.array([[0, 1, 1], [1, 0, 2]])
    assert target["krippendorff_alpha"] == krippendorff_alpha(counts, "nominal")
    assert target["class_counts"] == {"": {"jazz": 0, "pop": 1, "rock": 1}}


def test_the_summary_of_numbers_counts_by_part(tmp_path: Path, songs: Path) -> None:
    summary = tmp_path / "s.json"
    options = ["--column", "age", "--scale", "0..90", "--test-fraction", "0.2"]
    mer(songs, *options, "--summary", summary)
    (target,) = json.loads(summary.read_text())["targets"]
    assert (target["scale"], target["measurement"]) == ("0..90", "interval")
    assert sum(target["part_counts"].values()) == target["n_labels"] == 84


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("file", "options", "scales"),
    [
        (
            "annotations.csv",
            ["--quadrants"],
            {"arousal": "ordered", "quadrant": "unordered", "valence": "ordered"},
        ),
        (
            "annotations.csv",
            ["--scale", "valence=1..3"],
            {"arousal": "ordered", "valence": "1..3"},
        ),
        ("tracks.csv", ["--column", "genre"], {"genre": "unordered"}),
    ],
)
def test_emotify_on_any_scale(
    corpus: Path, tmp_path: Path, file: str, options: list[str], scales: dict[str, str]
) -> None:
    output = tmp_path / "labels.csv"
    split = ["--test-fraction", "0.2", "--seed", "1"]
    assert mer(corpus / file, *options, *split, "-o", output).exit_code == 0
    assert list(problems_of(output)) == []
    labels = list(read_table(str(output), Label))
    assert {label.target: label.scale for label in labels} == scales
    assert Counter(label.split for label in labels) == {
        "train": 240 * len(scales),
        "test": 60 * len(scales),
    }
