"""Which models predict where none is named: by the weights of networks that are here."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import mertools
from mertools.artifacts.files import digest_file
from mertools.cli.app import app
from mertools.cli.commands.predict import complete_models
from mertools.prediction import installed
from mertools.prediction.installed import choose_models
from mertools.pretrained.skey import NETWORK
from mertools.pretrained.user_weights import write_weights
from mertools.runtime import parallel
from tests.features.made_weights import forget_networks, make_state

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLIPS = EXAMPLES / "clips"
SONG = CLIPS / "piece08.wav"
PLAIN, FIT = "valence.safetensors", "valence-skey.safetensors"
USED = "valence-skey predicts valence, as weights of skey are here\n"
"""What is said where the model is chosen that needs the network."""


def mer(*arguments: object, status: int = 0) -> Any:
    done = CliRunner().invoke(app, [*map(str, arguments)], prog_name="mer")
    assert done.exit_code == status, done.stderr
    return done


def models_of(text: str) -> set[str]:
    return {row["model"] for row in csv.DictReader(io.StringIO(text))}


def digest(path: Path) -> str:
    return digest_file(path)[:12]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Weights of the published shapes, and two models, of which one learnt from the network's."""
    folder = tmp_path_factory.mktemp("made")
    weights = write_weights(folder, "skey", make_state(NETWORK.shapes))
    (folder / "bundled").mkdir()
    mer("aggregate-labels", EXAMPLES / "annotations.csv", "-o", folder / "labels.csv")
    kinds = ("--kind", "handcrafted", "--kind", "skey", "--weights", f"skey={weights}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MER_WEIGHTS", "")  # which --weights sets for this process
        mer("featurize", CLIPS, *kinds, "--jobs", 1, "-o", folder / "features.h5")
    for name, of in ((PLAIN, ()), (FIT, ("--kind", "skey"))):
        data = ("--features", folder / "features.h5", "--labels", folder / "labels.csv")
        search = ("--cv", 0, "--set", "gamma=0.1", "--set", "ridge=0.4", "--target", "valence")
        kinds = ("--kind", "handcrafted", *of)
        mer("train", "kernel", *data, *kinds, *search, "-o", folder / "bundled" / name)
    yield folder
    forget_networks()


@pytest.fixture(autouse=True)
def bundled(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in this process, with these models as the bundled ones and no weights."""
    monkeypatch.setattr(parallel, "available_cores", lambda: 1)
    monkeypatch.setattr(installed, "BUNDLED", made / "bundled")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for variable in ("MER_MODELS", "MER_WEIGHTS"):
        monkeypatch.delenv(variable, raising=False)
    return made / "bundled"


@pytest.fixture
def weights(made: Path, tmp_path: Path) -> Path:
    """The weights that the model learnt from, in the user's data folder."""
    folder = tmp_path / "data" / "mertools" / "weights"
    folder.mkdir(parents=True)
    return Path(shutil.copy(made / "skey.safetensors", folder))


def test_without_the_weights_the_plain_model_predicts_and_nothing_is_said(bundled: Path) -> None:
    assert choose_models([]).paths == (bundled / PLAIN,)
    done = mer("predict", SONG)
    assert done.stderr == ""
    assert done.stdout == mer("predict", "-m", bundled / PLAIN, SONG).stdout


@pytest.mark.usefixtures("weights")
def test_with_the_weights_the_model_that_needs_them_predicts_and_it_is_said(bundled: Path) -> None:
    done = mer("predict", SONG)
    assert done.stderr == USED
    assert models_of(done.stdout) == {digest(bundled / FIT)}
    named = mer("predict", "-m", "valence-skey", SONG)
    assert (named.stdout, named.stderr) == (done.stdout, "")
    assert mer("predict", "--quiet", SONG).stderr == ""
    assert mertools.predict(SONG).models == (bundled / FIT,)
    assert mertools.predict(SONG, models=["valence"]).models == (bundled / PLAIN,)


def test_a_folder_of_ones_own_may_hold_the_weights(
    weights: Path, bundled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weights.parent.rename(tmp_path / "weights")
    monkeypatch.setenv("MER_MODELS", str(tmp_path))
    assert mer("predict", SONG).stderr == USED
    # A model of one's own goes first, and then there is nothing to say of the bundled ones.
    shutil.copy(bundled / PLAIN, tmp_path / "mine.safetensors")
    assert choose_models([]) == installed.Choice((tmp_path / "mine.safetensors",))


def test_other_weights_than_it_learnt_from_are_not_used(weights: Path, bundled: Path) -> None:
    learnt_from = digest(weights)
    write_weights(weights.parent, "skey", make_state(NETWORK.shapes, seed=1))
    done = mer("predict", SONG)
    assert done.stdout == mer("predict", "-m", "valence", SONG).stdout
    assert done.stderr == (
        f"valence-skey does not predict valence: {weights} holds other weights "
        f"({digest(weights)}) than it learnt from ({learnt_from})\n"
    )
    assert mertools.predict(SONG).models == (bundled / PLAIN,)
    refused = mer("predict", "-m", "valence-skey", SONG, status=2)
    assert f"learnt from weights of skey ({learnt_from}) that are others" in refused.stderr
    assert refused.stdout == ""


def test_the_model_named_without_the_weights_says_how_to_get_them(made: Path) -> None:
    refused = mer("predict", "-m", "valence-skey", SONG, status=2)
    assert "skey: has no weights here" in refused.stderr
    assert "mer import weights skey FILE" in refused.stderr
    assert "mer models fetch" in refused.stderr
    assert refused.stdout == ""
    # Features that are computed already need none.
    assert mer("predict", "-m", "valence-skey", made / "features.h5").stdout


@pytest.mark.usefixtures("weights")
def test_features_that_lack_the_kind_are_predicted_by_the_plain_model(
    made: Path, bundled: Path, tmp_path: Path
) -> None:
    assert mer("predict", made / "features.h5").stderr == USED
    mer("featurize", SONG, "--kind", "handcrafted", "--jobs", 1, "-o", tmp_path / "f.h5")
    done = mer("predict", tmp_path / "f.h5")
    assert models_of(done.stdout) == {digest(bundled / PLAIN)}
    assert done.stderr == (
        f"valence-skey does not predict valence: {tmp_path / 'f.h5'} holds no skey features that "
        "it can use\n"
    )


def test_models_are_listed_with_what_they_need(tmp_path: Path) -> None:
    listed = mer("models", "list").stdout
    needs = {row["name"]: row["needs"] for row in csv.DictReader(io.StringIO(listed))}
    assert needs == {"valence-skey": "skey", "valence": ""}
    (tmp_path / "models.csv").write_text(listed)
    mer("validate", tmp_path / "models.csv")
    assert complete_models("valence-s") == ["valence-skey"]
