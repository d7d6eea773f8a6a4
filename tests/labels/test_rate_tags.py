"""`mer rate-tags`: the worked examples of paper 003, and what tags and lexicons may look like."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mertools.artifacts.rows import Label, TagCoverage
from mertools.artifacts.tables import read_table
from mertools.artifacts.validate import problems_of
from mertools.errors import SchemaError
from mertools.labels.lexicon import TARGETS, rate_tags, read_dropped_tags, read_lexicon
from mertools.labels.tags import collect_tags, normalise_term
from mertools.targets.scale import Range

TABLE_2_1 = {
    "sad": (0.225, 0.333, 0.149),
    "happy": (1, 0.735, 0.772),
    "disgusted": (0.051, 0.773, 0.274),
    "angry": (0.122, 0.830, 0.604),
    "fear": (0.073, 0.840, 0.293),
    "surprised": (0.784, 0.855, 0.539),
}
TAGS = {"Sad": 56, "happy": 12, "angry": 12, "rock": 100, "xyzzy": 5}
EXPECTED = {"valence": 0.3258, "arousal": 0.46785, "dominance": 0.3107}
WARRINER = Path(__file__).resolve().parents[3] / "shared" / "text" / "Ratings_Warriner_et_al.csv"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, content: object) -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return write_file


def table_of(
    terms: dict[str, tuple[float, ...]],
    header: str = "Word\tValence\tArousal\tDominance",
    change: Callable[[float], float] = float,
) -> str:
    lines = ["\t".join([term, *(repr(change(x)) for x in row)]) for term, row in terms.items()]
    return "\n".join([header, *lines]) + "\n"


def tags_csv(tracks: dict[str, dict[str, float]]) -> str:
    rows = [f'{track},"{tag}",{w}' for track, tags in tracks.items() for tag, w in tags.items()]
    return "\n".join(["track_id,tag,weight", *rows]) + "\n"


def means(path: Path, track: str = "t") -> dict[str, float | None]:
    return {r.target: r.mean for r in read_table(str(path), Label) if r.track_id == track}


def test_the_worked_example(mer: Callable[..., object], write: Write, tmp_path: Path) -> None:
    write("lexicon.txt", table_of(TABLE_2_1))
    write("tags.csv", tags_csv({"t": TAGS, "u": {"rock": 9}, "v": {"xyzzy": 1}, "w": {"sad": 0}}))
    done = mer(
        "rate-tags",
        "tags.csv",
        "--lexicon",
        "lexicon.txt",
        "-o",
        "vad.csv",
        "--report",
        "report.csv",
        "--plot",
        "plots",
    )
    assert "1 of 4 tracks labelled" in done.stderr
    rows = list(read_table(str(tmp_path / "vad.csv"), Label))
    assert {row.target: row.mean for row in rows} == EXPECTED
    assert {(row.n_annotators, row.scale, row.kept, row.label) for row in rows} == {
        (3, "0..1", True, None)
    }
    x, w = np.array([0.225, 1, 0.122]), np.array([56, 12, 12]) / 80
    valence = rows[-1]
    assert valence.std == pytest.approx(np.sqrt(w @ (x - 0.3258) ** 2), abs=1e-9)
    assert valence.mad == pytest.approx(w @ np.abs(x - 0.3258), abs=1e-9)
    assert list(read_table(str(tmp_path / "report.csv"), TagCoverage)) == [
        TagCoverage("t", 5, 1, 3, 80, 185, None),
        TagCoverage("u", 1, 1, 0, 0, 9, "only_genre"),
        TagCoverage("v", 1, 0, 0, 0, 1, "no_known_tag"),
        TagCoverage("w", 0, 0, 0, 0, 0, "no_tags"),
    ]
    for file in ("vad.csv", "report.csv"):
        assert list(problems_of(tmp_path / file)) == []
    assert {"plane.png", "cube.png", "valence_histogram.png"} <= {
        path.name for path in (tmp_path / "plots").iterdir()
    }


@pytest.mark.skipif(
    "NRC_VAD_LEXICON" not in os.environ,
    reason="the NRC lexicon may not be passed on: name your copy of version 1 in NRC_VAD_LEXICON",
)
def test_the_published_example() -> None:
    lexicon = read_lexicon(os.environ["NRC_VAD_LEXICON"])
    rated = rate_tags({"t": {"cool": 56, "nice": 12, "study": 12}}, lexicon, frozenset())
    np.testing.assert_allclose(rated.mean[0], [0.85695, 0.49845, 0.7594], atol=1e-9)


@pytest.mark.skipif(not WARRINER.is_file(), reason="Warriner's words are not beside this checkout")
def test_warriners_words_are_found_and_scaled() -> None:
    lexicon = read_lexicon(str(WARRINER))
    assert len(lexicon.terms) > 13_000
    np.testing.assert_allclose(lexicon.terms["aardvark"][:2], [(6.26 - 1) / 8, (2.41 - 1) / 8])
    assert all(((row >= 0) & (row <= 1)).all() for row in lexicon.terms.values())


@pytest.mark.parametrize(
    ("header", "scale", "change"),
    [
        ("term\tvalence\tarousal\tdominance", None, lambda x: 2 * x - 1),  # NRC, version 2.1
        ("Word\tV.Mean.Sum\tA.Mean.Sum\tD.Mean.Sum", None, lambda x: 1 + 8 * x),  # Warriner
        ("lemma\tV\tA\tD", Range(0, 100), lambda x: 100 * x),
    ],
)
def test_any_scale_comes_to_the_same(
    write: Write, header: str, scale: Range | None, change: Callable[[float], float]
) -> None:
    path = write("lexicon.tsv", table_of(TABLE_2_1, header, change))
    lexicon = read_lexicon(str(path), scale)
    for term, row in TABLE_2_1.items():
        np.testing.assert_allclose(lexicon.terms[term], row, atol=1e-12)


def test_columns_of_any_name_and_order(write: Write) -> None:
    path = write("lexicon.csv", "id;dom;ar;val;mot\n1;.3;.2;.1;triste\n")
    columns = ["mot", "val", "ar", "dom"]
    assert read_lexicon(str(path), None, columns).terms["triste"].tolist() == [0.1, 0.2, 0.3]
    with pytest.raises(SchemaError, match="no column that is a term"):
        read_lexicon(str(path))
    with pytest.raises(SchemaError, match="no column mots"):
        read_lexicon(str(path), None, ["mots", *columns[1:]])


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("sad,0.1,0.2\n", "line 2 lacks"),
        ("sad,0.1,0.2,nan\n", "line 2 lacks"),
        ("sad,0.1,0.2,high\n", "line 2 lacks"),
        ("sad,0.1,0.2,11\n", "outside 1..9"),
        ("", "has no words"),
    ],
)
def test_broken_lexicons_are_refused(write: Write, rows: str, problem: str) -> None:
    path = write("lexicon.csv", "word,valence,arousal,dominance\n" + rows)
    with pytest.raises(SchemaError, match=problem):
        read_lexicon(str(path))


def test_terms_are_compared_in_normal_form(write: Write) -> None:
    assert normalise_term("  Joyful_\u00a0 ACTIVATION ") == "joyful activation"
    assert normalise_term("\uff33ad") == "sad"  # a full-width S
    path = write("tags.csv", tags_csv({"t": {"SAD": 3, " sad": 4, "happy": 5, "Happy_": -6}}))
    tracks = collect_tags([str(path)])
    assert tracks == {"t": {"sad": 7, "happy": -1}}
    lexicon = read_lexicon(str(write("lexicon.tsv", table_of(TABLE_2_1))))
    rated = rate_tags(tracks, lexicon, frozenset())
    assert rated.mean[0].tolist() == [0.225, 0.333, 0.149]
    assert rated.n_matched.tolist() == [1]


@pytest.mark.parametrize(
    "content",
    [
        {"t": TAGS},
        {"t": [[tag, str(weight)] for tag, weight in TAGS.items()]},
        {"track_id": "t", "tags": [[tag, str(weight)] for tag, weight in TAGS.items()]},
        [{"track_id": "t", "tag": tag, "weight": weight} for tag, weight in TAGS.items()],
        "\n".join(json.dumps({"track_id": "t", "tag": k, "weight": v}) for k, v in TAGS.items()),
        {
            "toptags": {
                "tag": [{"name": k, "count": v, "url": "https://last.fm"} for k, v in TAGS.items()],
                "@attr": {"artist": "A", "track": "B"},
            }
        },
    ],
)
def test_forms_of_json(write: Write, content: object) -> None:
    tracks = collect_tags([str(write("tags.json", content))])
    expected = {tag.casefold(): float(weight) for tag, weight in TAGS.items()}
    assert tracks in ({"t": expected}, {"A - B": expected})


def test_a_folder_of_the_lastfm_dataset(
    mer: Callable[..., object], write: Write, tmp_path: Path
) -> None:
    (tmp_path / "set" / "A").mkdir(parents=True)
    write("set/A/TRA.json", {"artist": "x", "tags": [["sad", "100"]], "track_id": "TRA"})
    write("set/A/TRB.json", {"artist": "x", "tags": [], "track_id": "TRB"})
    write("lexicon.txt", table_of(TABLE_2_1))
    mer("rate-tags", "set", "--lexicon", "lexicon.txt", "-o", "vad.csv", "--report", "r.csv")
    assert means(tmp_path / "vad.csv", "TRA")["valence"] == 0.225
    reasons = [row.reason for row in read_table(str(tmp_path / "r.csv"), TagCoverage)]
    assert reasons == [None, "no_tags"]


@pytest.mark.parametrize(
    "content",
    [
        '{"t": {"sad": "many"}}',
        '{"t": {"sad": NaN}}',
        '{"t": 5}',
        "[5]",
        '{"t": [["sad", 1, 2]]}',
        '{"toptags": {"tag": []}}',
        '{"error": 6, "message": "Track not found"}',
        '{"t": ',
    ],
)
def test_broken_json_is_refused(write: Write, content: str) -> None:
    with pytest.raises(SchemaError):
        collect_tags([str(write("tags.json", content))])


def test_tags_of_several_words(mer: Callable[..., object], write: Write, tmp_path: Path) -> None:
    write("lexicon.txt", table_of(TABLE_2_1 | {"happy fear": (0.5, 0.5, 0.5)}))
    write("tags.csv", tags_csv({"t": {"sad-angry": 1}, "u": {"happy fear": 1, "qqq zzz": 8}}))
    options = ("rate-tags", "tags.csv", "--lexicon", "lexicon.txt", "-o", "vad.csv")
    mer(*options)
    assert means(tmp_path / "vad.csv") == {}
    mer(*options, "--multiword", "words")
    assert means(tmp_path / "vad.csv")["valence"] == pytest.approx((0.225 + 0.122) / 2)
    assert means(tmp_path / "vad.csv", "u")["valence"] == 0.5


def test_the_list_of_dropped_tags_is_replaceable(
    mer: Callable[..., object], write: Write, tmp_path: Path
) -> None:
    shipped = read_dropped_tags(None)
    thesis = "soundtrack movie electronic indie rock pop country film composer intro musical cover"
    assert shipped >= set(thesis.split())
    assert not shipped & (set(TABLE_2_1) | {"cool", "nice", "study", "calm", "epic"})
    write("lexicon.txt", table_of(TABLE_2_1 | {"hip-hop": (0.9, 0.9, 0.9)}))
    write("tags.csv", tags_csv({"t": {"sad": 1, "Hip-Hop": 1}}))
    write("mine.txt", "# nothing but\nSAD\n")
    options = ("rate-tags", "tags.csv", "--lexicon", "lexicon.txt", "-o", "vad.csv")
    expected = {"": 0.225, "mine.txt": 0.9, "/dev/null": 0.5625}
    for drop, valence in expected.items():
        mer(*options, *(("--drop", drop) if drop else ()))
        assert means(tmp_path / "vad.csv")["valence"] == pytest.approx(valence)


def test_few_tags_and_none(mer: Callable[..., object], write: Write, tmp_path: Path) -> None:
    write("lexicon.txt", table_of(TABLE_2_1))
    write("tags.csv", tags_csv({"t": {"sad": 1}, "u": {"sad": 1, "happy": 1}}))
    options = ("rate-tags", "tags.csv", "--lexicon", "lexicon.txt", "-o", "vad.csv")
    done = mer(*options, "--min-tags", 2, "--report", "r.csv")
    assert {row.track_id for row in read_table(str(tmp_path / "vad.csv"), Label)} == {"u"}
    assert "1 left out: too_few_tags" in done.stderr
    mer(*options, "--min-tags", 3, status=4)
    mer(*options, "--lexicon-scale", "9..1", status=2)
    mer(*options, "--lexicon-columns", "a,b", status=2)
    mer("rate-tags", "-", "--lexicon", "-", status=2)


def test_the_split_is_of_whole_tracks(
    mer: Callable[..., object], write: Write, tmp_path: Path
) -> None:
    words = list(TABLE_2_1)
    tracks = {f"t{k:02}": {words[k % 6]: 1, words[k % 5]: 2} for k in range(40)}
    write("lexicon.txt", table_of(TABLE_2_1))
    write("tags.csv", tags_csv(tracks))
    options = ("--test-fraction", 0.25, "--validation-fraction", 0.25, "--seed", 3)
    mer("rate-tags", "tags.csv", "--lexicon", "lexicon.txt", *options, "-o", "vad.csv")
    parts: dict[str, set[str | None]] = {}
    for row in read_table(str(tmp_path / "vad.csv"), Label):
        parts.setdefault(row.track_id, set()).add(row.split)
    counts = [part for (part,) in parts.values()]
    assert [counts.count(name) for name in ("train", "validation", "test")] == [20, 10, 10]


def test_a_label_is_within_its_tags() -> None:
    rng = np.random.default_rng(0)
    from mertools.labels.lexicon import Lexicon

    for _ in range(50):
        terms = {str(k): rng.uniform(0, 1, 3) for k in range(4)}
        weights = {tag: float(10.0 ** rng.uniform(-300, 300)) for tag in terms}
        rated = rate_tags({"t": weights}, Lexicon(terms), frozenset())
        values = np.stack(list(terms.values()))
        assert (values.min(axis=0) - 1e-9 <= rated.mean[0]).all()
        assert (rated.mean[0] <= values.max(axis=0) + 1e-9).all()
    assert len(TARGETS) == 3
