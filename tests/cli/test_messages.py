"""Messages: they name what is unknown, the nearest that is known, and the command that helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mertools.artifacts.rows import Annotation
from mertools.artifacts.tables import read_table
from mertools.errors import SchemaError, choose_from
from tests.conftest import Mer

WriteTone = Callable[..., Path]


def test_the_nearest_name_comes_first() -> None:
    assert choose_from(["mel", "tonal"], "Mell") == "did you mean mel? choose from mel, tonal"
    assert choose_from(["C", "gamma"], "degree") == "choose from C, gamma"
    assert choose_from(["Q1", "q1"], "Q1x").startswith("did you mean ")
    assert "none" in choose_from([], "x")


def test_an_empty_table_is_asked_for_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(SchemaError, match="give an annotations table"):
        list(read_table(str(tmp_path / "empty.csv"), Annotation))


def test_training_names_targets_parameters_and_kinds(
    mer: Mer, tmp_path: Path, write_tone: WriteTone
) -> None:
    for name in "abcd":
        write_tone(tmp_path / f"in/{name}.wav", 3.0)
    rows = "".join(f"{name},1,arousal,{1 + k % 3}\n" for k, name in enumerate("abcd"))
    (tmp_path / "a.csv").write_text(f"track_id,annotator_id,target,value\n{rows}")
    mer("aggregate-labels", "a.csv", "-o", "l.csv")
    mer("featurize", "in", "-o", "f.h5")

    def refused(name: str, target: str, *more: str) -> str:
        data = ("--features", "f.h5", "--labels", "l.csv", "--target", target, "-o", "m")
        return mer("train", name, *data, *more, status=2).stderr

    assert "holds no label for arosal: did you mean arousal?" in refused("svm", "arosal")
    assert "did you mean gamma?" in refused("svm", "arousal", "--set", "gama=1")
    assert "make them with mer transcribe" in refused("lstm", "arousal")
    assert "make them with mer featurize --kind tonal" in refused(
        "svm", "arousal", "--kind", "tonal"
    )


def test_two_models_of_a_target_are_run_apart(mer: Mer, tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    models = ("-m", "emotify-arousal", "-m", "emotify-arousal")
    error = mer("predict", "a.wav", *models, status=2).stderr
    assert "is a second model for arousal" in error
    assert "run mer predict once for each" in error
