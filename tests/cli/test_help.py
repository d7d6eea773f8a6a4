"""What help says: whole summaries in groups, arguments by their thing, one word for one thing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mertools.cli.app import GROUPS, app
from tests.conftest import Mer

WORDS = {
    "output": ("--output", "-o"),
    "jobs": ("--jobs", "-j"),
    "device": ("--device",),
    "seed": ("--seed",),
    "force": ("--force",),
    "quiet": ("--quiet", "-q"),
    "debug": ("--debug",),
    "length": ("--length",),
    "hop": ("--hop",),
    "set_": ("--set",),
    "grid": ("--grid",),
    "plot": ("--plot",),
    "plots": ("--plot",),
    "split": ("--split",),
    "failures": ("--failures",),
}
"""How an option is spelt, by the name of its parameter."""


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with its name."""
    waiting: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        below = getattr(command, "commands", None)
        if below is None:
            yield name, command
        else:
            waiting += [(f"{name} {key}".strip(), sub) for key, sub in below.items()]


COMMANDS = dict(commands())


def test_the_list_of_commands_has_groups_and_whole_summaries() -> None:
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    headings = re.findall(r"^(\w+):$", text, re.M)
    assert headings == ["Options", *GROUPS]
    assert [name.lower() for name in GROUPS] == ["prepare", "label", "learn", "judge", "look"]
    for group in GROUPS.values():
        for name in group:
            (line,) = re.findall(rf"^  {name} +(\S.*)$", text.partition("\nPrepare:")[2], re.M)
            assert line.endswith(".")
            assert "..." not in line
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("group", ["train", "import"])
def test_summaries_of_a_group_are_whole(group: str) -> None:
    text = CliRunner().invoke(app, [group, "--help"], env={"COLUMNS": "80"}).stdout
    assert "..." not in text.partition("Commands:")[2]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_arguments_are_named_by_their_thing(name: str) -> None:
    """No name of a type, no braces and no parameter's name leaks."""
    text = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"}).stdout
    usage, _, rest = text.partition("\n\n")
    assert not re.search(r"[{<]", usage)
    assert not re.search(r"^  (?:-\w, )?--?[\w-]+ <|^  \{", rest, re.M)
    for param in COMMANDS[name].params:
        if param.param_type_name == "argument" or not param.is_flag:
            assert param.metavar or getattr(param, "hidden", False), param.name


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_one_word_stands_for_one_thing(name: str) -> None:
    for param in COMMANDS[name].params:
        if param.param_type_name == "option" and param.name in WORDS and not param.hidden:
            assert set(param.opts) == set(WORDS[param.name])


def test_old_spellings_still_work_and_are_not_shown(mer: Mer, tmp_path: Any) -> None:
    (tmp_path / "a.csv").write_text(
        "track_id,annotator_id,target,value\nx,1,arousal,1\ny,1,arousal,3\n"
    )
    mer("aggregate-labels", "a.csv", "--plots", "old", "-o", "l.csv")
    mer("aggregate-labels", "a.csv", "--plots=equals", "-o", "l.csv")
    mer("aggregate-labels", "a.csv", "--plot", "new", "-o", "l.csv")
    pictures = [sorted(p.name for p in (tmp_path / d).iterdir()) for d in ("old", "equals", "new")]
    assert pictures[0] == pictures[1] == pictures[2] != []
    assert "--plots" not in mer("aggregate-labels", "--help").stdout
    assert "--window" not in mer("predict", "--help").stdout


def test_every_table_has_the_same_forms(mer: Mer, tmp_path: Any) -> None:
    """`--format` decides, else the ending of -o."""
    (tmp_path / "a.csv").write_text(
        "track_id,annotator_id,target,value\nx,1,arousal,1\ny,1,arousal,3\n"
    )
    (tmp_path / "t.csv").write_text("track_id,artist,title\nx,Ann,Song\n")
    (tmp_path / "c.csv").write_text("artist,title,weeks\nAnn,Song,7\n")
    mer("aggregate-labels", "a.csv", "-o", "l.json")
    rows = json.loads((tmp_path / "l.json").read_text())
    lines = mer("aggregate-labels", "a.csv", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert rows[0]["track_id"] == "x"
    mer("match", "c.csv", "t.csv", "-o", "m.jsonl")
    assert json.loads((tmp_path / "m.jsonl").read_text()) == {
        "track_id": "x",
        "artist": "Ann",
        "title": "Song",
        "weeks": "7",
    }
    drawn = mer("match", "c.csv", "t.csv", "--format", "table").stdout
    assert "," not in drawn
    assert "Song" in drawn


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (("featurize", "a.csv", "--kind", "handcraftet", "-o", "f.h5"), "handcrafted"),
        (("featurize", "a.csv", "--kind", "mel", "--set", "mel.nmels=3", "-o", "f.h5"), "n_mels"),
        (("predict", "a.csv", "-m", "emotify-arosal"), "emotify-arousal"),
        (("train", "svn"), "svm"),
        (("predikt",), "predict"),
    ],
)
def test_a_misspelt_name_is_answered_by_the_nearest(
    mer: Mer, tmp_path: Any, write_tone: Any, arguments: tuple[str, ...], guess: str
) -> None:
    write_tone(tmp_path / "a.wav")
    (tmp_path / "a.csv").write_text("track_id,path\na,a.wav\n")
    error = mer(*arguments, status=2).stderr.lower()
    assert "did you mean" in error
    assert guess in error.partition("did you mean")[2][:30]
