"""`mer annotate`: a project of Label Studio whose export is read back."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from tests.conftest import Mer

WriteTone = Callable[..., Path]
TYPES = {"Choices": "choices", "Rating": "rating", "Number": "number"}


def export(folder: Path, tasks: str, config: str, rate: Callable[[str, int, int], Any]) -> Path:
    """Write what Label Studio exports once two people have rated every task of a project.

    `rate` gives the rating of a control, by task and annotator. A result is named and typed after
    the interface's control.
    """
    view = ElementTree.fromstring((folder / config).read_text())  # noqa: S314, our own
    controls = {e.get("name"): e for e in view if e.tag in TYPES}
    exported = []
    for k, task in enumerate(json.loads((folder / tasks).read_text())):
        annotations = []
        for person in (1, 2):
            results = []
            for name, control in controls.items():
                kind, value = TYPES[control.tag], rate(name, k, person)
                if kind == "choices":
                    assert value in [choice.get("value") for choice in control]
                    value = [value]
                result = {"from_name": name, "to_name": control.get("toName"), "type": kind}
                results.append(result | {"value": {kind: value}})
            annotations.append({"id": 10 * k + person, "completed_by": person, "result": results})
        exported.append({"id": k, "data": task["data"], "annotations": annotations})
    path = folder / "export.json"
    path.write_text(json.dumps(exported))
    return path


def labels(mer: Mer, *arguments: object) -> dict[tuple[str, str], dict[str, str]]:
    rows = csv.DictReader(mer("aggregate-labels", *arguments).stdout.splitlines())
    return {(row["track_id"], row["target"]): row for row in rows}


def test_a_project_comes_back_as_labels(mer: Mer, tmp_path: Path, write_tone: WriteTone) -> None:
    names = ("a ü & <b>", "c")
    paths = [write_tone(tmp_path / f"songs/{name}.wav", 3.0).resolve() for name in names]
    options = ("--target", "arousal", "--target", "energy", "--scale", "energy=1..9")
    more = ("--target", "joy", "--scale", "joy=-1..1")
    done = mer("annotate", "songs", *options, *more, "-o", "t.json", "--config", "l.xml")
    tasks = [task["data"] for task in json.loads((tmp_path / "t.json").read_text())]
    assert [task["track_id"] for task in tasks] == list(names)
    served = [parse_qs(urlsplit(task["audio"]).query)["d"][0] for task in tasks]
    assert [Path("/") / path for path in served] == paths
    ratings = {"arousal": ["weak", "strong"], "energy": [3, 4], "joy": [-0.5, 0.25]}
    rated = export(tmp_path, "t.json", "l.xml", lambda name, k, person: ratings[name][k])
    # What it says on standard error is how its export is read.
    reading = done.stderr.split("mer aggregate-labels ")[1].split()[:-1]
    found = labels(mer, *reading, rated)
    assert found["c", "arousal"]["class"] == "strong"
    assert found["a ü & <b>", "arousal"]["p_1"] == "1.0"
    assert {row["n_annotators"] for row in found.values()} == {"2"}
    assert (float(found["c", "energy"]["mean"]), found["c", "energy"]["scale"]) == (4, "1..9")
    assert (float(found["c", "joy"]["mean"]), found["c", "joy"]["scale"]) == (0.25, "-1..1")


def test_segments_come_back_as_stretches(mer: Mer, tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "song.wav", 20.0)
    mer("segment", "song.wav", "-o", "segments.csv")
    options = ("--target", "mood", "--classes", "mood=dark,very bright")
    done = mer("annotate", "segments.csv", *options, "-o", "t.json", "--config", "l.xml")
    titles = [task["data"]["title"] for task in json.loads((tmp_path / "t.json").read_text())]
    assert titles[1] == "song, only from 0:10 to 0:20"
    moods = ("dark", "very bright")
    rated = export(tmp_path, "t.json", "l.xml", lambda name, k, person: moods[k])
    assert "--classes 'mood=dark,very bright'" in done.stderr
    table = mer("aggregate-labels", rated, *options).stdout
    found = [
        (row["start"], row["duration"], row["class"]) for row in csv.DictReader(table.splitlines())
    ]
    assert found == [("0.0", "10.0", "dark"), ("10.0", "10.0", "very bright")]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--target", "joy"), "--target joy: has no classes that are known"),
        (("--target", "arousal", "--scale", "arusal=1..9"), "did you mean arousal?"),
        (("--target", "joy", "--scale", "joy=1..9", "--classes", "joy=a,b"), "and a scale"),
    ],
)
def test_what_cannot_be_rated(
    mer: Mer, tmp_path: Path, write_tone: WriteTone, options: tuple[str, ...], problem: str
) -> None:
    write_tone(tmp_path / "a.wav")
    assert problem in mer("annotate", "a.wav", *options, status=2).stderr


def test_sound_that_is_not_served_is_a_failed_input(
    mer: Mer, tmp_path: Path, write_tone: WriteTone
) -> None:
    for folder in ("in", "out"):
        write_tone(tmp_path / folder / f"{folder}.wav")
    done = mer("annotate", "in", "out", "--target", "arousal", "--root", "in", status=3)
    assert [task["data"]["audio"] for task in json.loads(done.stdout)] == [
        "/data/local-files/?d=in.wav"
    ]
    assert "give a --root" in done.stderr
