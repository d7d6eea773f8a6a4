from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import jsonschema
import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st

from mertools.artifacts.model_card import ModelCard, card_from_json
from mertools.artifacts.model_file import (
    CARD_SCHEMA,
    find_problems,
    read_card,
    read_card_json,
    read_model,
    write_model,
)
from mertools.artifacts.schema import load_schema
from mertools.artifacts.skops_file import CARD_MEMBER, TREE_MEMBER
from mertools.errors import SchemaError, UsageError

HEAD = {
    "schema": "model.card",
    "schema_version": "1.4",
    "producer": "mertools",
    "producer_version": "0.1.0",
}
CARD: dict[str, Any] = {
    "model": "svm",
    "target": "arousal",
    "scale": "ordered",
    "classes": ["weak", "strong"],
    "unit": "track",
    "pool": "mean",
    "features": [
        {"kind": "made", "params": {}, "params_digest": "0", "shape": [4], "level": "segment"}
    ],
    "columns": ["a", "b", "c", "ü"],
    "audio": {"sample_rate": 8000, "length_s": 10.0, "hop_s": 10.0, "last": "auto"},
    "standardisation": "zero mean and unit variance",
    "architecture": {},
    "training": {"digest": "0", "n_rows": 9, "tracks": {"weak": 4, "strong": 5}, "left_out": {}},
    "seed": 0,
    "search": {"n_folds": 2, "criterion": "f1_macro", "grid": {"C": [1.0]}, "chosen": {"C": 1.0}},
    "scores": {
        "folds": [{"n_tracks": 4, "chosen": {"C": 1.0}, "levels": {"track": {"accuracy": 0.5}}}],
        "levels": {"track": {"accuracy": {"mean": 0.5, "std": 0, "pooled": 0.5, "majority": 0.6}}},
    },
    "versions": {"numpy": "2.0"},
}


ARRAYS = {
    "mean": np.arange(12.0).reshape(3, 4) ** 2,
    "scale": np.array(0.5),
    "columns": np.array([3, 1, 2]),
    "singles": np.array([1.5, -2], np.float32),
    "nothing": np.zeros((0, 2)),
}


def make_card(**changes: Any) -> ModelCard:
    return card_from_json(CARD | changes)


def write(path: Path) -> None:
    write_model(path, make_card(), ARRAYS, ".skops")


def assert_same(learnt: Any) -> None:
    assert learnt.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert learnt[name].dtype == array.dtype
        np.testing.assert_array_equal(learnt[name], array)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "m.skops"
    write(path)
    return path


def rewrite(path: Path, **members: bytes | None) -> None:
    """Put other contents in place of members; None leaves one out."""
    with ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents |= {name.replace("_", "."): content for name, content in members.items()}
    with ZipFile(path, "w") as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)


def change_tree(path: Path, change: Any) -> None:
    with ZipFile(path) as archive:
        tree = json.loads(archive.read(TREE_MEMBER))
    change(tree)
    rewrite(path, schema_json=json.dumps(tree).encode())


@pytest.mark.parametrize("suffix", [".skops", ".safetensors"])
def test_what_was_written_comes_back(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    write_model(path, make_card(), ARRAYS, suffix)
    card, learnt = read_model(path)
    assert card.to_json() == CARD
    assert read_card(path) == card
    assert card.origin == HEAD
    assert read_card_json(path) == HEAD | CARD
    assert_same(learnt)


def test_skops_opens_it_and_trusts_it(path):
    assert skops.io.get_untrusted_types(file=path) == []
    assert_same(skops.io.load(path))


@pytest.mark.parametrize(
    ("target", "scale", "classes"),
    [
        ("quadrant", "unordered", ["Q1", "Q2"]),
        ("valence", "1..9", []),
        ("valence,arousal", "1..9,-1..1", []),
    ],
)
def test_the_scale_travels_with_the_card(tmp_path, target, scale, classes):
    path = tmp_path / "m.skops"
    write_model(path, make_card(target=target, scale=scale, classes=classes), ARRAYS, ".skops")
    card = read_card(path)
    assert card.title == target
    assert [str(of.scale) for of in card.targets] == scale.split(",")
    assert list(card.targets[0].classes) == classes
    assert card.n_outputs == max(len(classes), target.count(",") + 1)
    assert card.to_json() == CARD | {"target": target, "scale": scale, "classes": classes}


@pytest.mark.parametrize(
    "change",
    [
        {"target": "valence,arousal", "scale": "1..9,1..9,1..9", "classes": []},
        {"target": "valence", "scale": "1..9,1..9", "classes": []},
        {"target": "valence,arousal", "scale": "ordered,ordered"},
        {"scale": "9..1", "classes": []},
        {"scale": "hot"},
        {"scale": "1..9,", "target": "a,b", "classes": []},
        {"classes": ["weak", "weak"]},
        {"classes": []},
        {"classes": ["weak"]},
    ],
)
def test_a_card_that_contradicts_itself_is_refused(path, change):
    rewrite(path, card_json=json.dumps(HEAD | CARD | change).encode())
    with pytest.raises(SchemaError, match="has a card that"):
        read_model(path)


def test_a_card_of_before_has_ordered_classes_and_means(path):
    old = {name: value for name, value in CARD.items() if name not in ("scale", "pool")}
    old["features"] = [{**CARD["features"][0]}]
    del old["features"][0]["level"]
    rewrite(path, card_json=json.dumps(HEAD | old | {"schema_version": "1.0"}).encode())
    assert read_card(path).to_json() == CARD


def test_the_card_lies_in_it_as_plain_text(path):
    with ZipFile(path) as archive:
        assert "ü" in archive.read(CARD_MEMBER).decode()


WRITE_AGAIN = """
import sys; sys.path[:0] = [{tests!r}, {here!r}]
from pathlib import Path
from test_model_file import write
rubbish = [object() for _ in range({n})]
write(Path({path!r}))
"""


@pytest.mark.slow
def test_the_same_arrays_give_the_same_bytes_in_any_process(path, tmp_path):
    for seed in (1, 2):
        other = tmp_path / f"{seed}.skops"
        here = Path(__file__).parent
        code = WRITE_AGAIN.format(
            tests=str(here.parent), here=str(here), n=seed * 1000, path=str(other)
        )
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        assert other.read_bytes() == path.read_bytes()


def test_reading_imports_no_scikit_learn(path):
    code = (
        "import sys; from pathlib import Path; from mertools.artifacts.model_file import *;"
        f"read_model(Path({str(path)!r})); read_card(Path({str(path)!r}));"
        "assert not {'sklearn', 'skops', 'scipy', 'jsonschema'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_card_that_breaks_its_schema_is_not_written(tmp_path):
    card = make_card()
    for change, problem in (
        ({"unit": "song"}, r"card.unit is 'song', not one of track, segment"),
        ({"pool": "sum"}, r"card.pool is 'sum', not one of mean, mode, max"),
    ):
        with pytest.raises(SchemaError, match=problem):
            write_model(tmp_path / "m.skops", replace(card, **change), ARRAYS, ".skops")
    assert list(tmp_path.iterdir()) == []


def test_a_tree_that_is_no_dict_is_refused(path):
    change_tree(path, lambda tree: tree.update(tree["content"]["mean"]))
    with pytest.raises(SchemaError, match="holds no arrays by name"):
        read_model(path)


def a_function(module: str, name: str) -> dict[str, str]:
    return {"__loader__": "FunctionNode", "__module__": module, "__class__": name}


@pytest.mark.parametrize(
    ("node", "named"),
    [
        (a_function("os", "system"), "os.system"),
        (a_function("numpy", "exp"), "numpy.exp"),
        (a_function("builtins", "eval"), "builtins.eval"),
        ({"__loader__": "TypeNode", "__module__": "builtins", "__class__": "int"}, "builtins.int"),
        ({"__loader__": "ObjectNode", "__module__": "evil", "__class__": "Thing"}, "evil.Thing"),
        (
            {"__loader__": "ObjectNode", "__module__": "sklearnish.x", "__class__": "Thing"},
            "sklearnish.x.Thing",
        ),
        (
            {"__loader__": "DictNode", "__module__": "evil", "__class__": "Dict", "content": {}},
            "evil.Dict",
        ),
        (
            {"__loader__": "NoNode", "__module__": "numpy", "__class__": "ndarray"},
            "numpy.ndarray",
        ),
    ],
)
def test_what_is_not_trusted_is_refused_by_name(path, node, named):
    change_tree(path, lambda tree: tree["content"].update(mean=node))
    with pytest.raises(SchemaError, match=rf"holds {named} .*not trusted"):
        read_model(path)


def test_nothing_that_is_named_is_built(path):
    node = {"__loader__": "ObjectNode", "__module__": "sklearn.no_such", "__class__": "Thing"}
    change_tree(path, lambda tree: tree["content"].update(mean=node))
    assert read_model(path)[1]["mean"] == {}  # an object without attributes


@pytest.mark.parametrize(
    "content",
    [
        {"__loader__": "NdArrayNode", "__module__": "numpy", "__class__": "x", "file": "gone"},
        {"__loader__": "NdArrayNode", "__module__": "numpy", "__class__": "x", "file": CARD_MEMBER},
        {"__loader__": "JsonNode", "__module__": "builtins", "__class__": "x", "content": "{"},
        {"__loader__": "ListNode", "__module__": "builtins", "__class__": "list", "content": 3},
        {"__loader__": "ListNode", "__module__": 3, "__class__": "list", "content": []},
        {"__loader__": [], "__module__": "builtins", "__class__": "list", "content": []},
        {},
        None,
    ],
)
def test_a_broken_tree_is_refused(path, content):
    change_tree(path, lambda tree: tree["content"].update(mean=content))
    with pytest.raises(SchemaError, match=r"schema\.json is not as skops writes it"):
        read_model(path)


def test_an_array_that_claims_more_than_it_holds_is_refused(path):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(4))
    whole = buffer.getvalue()
    huge = whole.replace(b"'shape': (4,), }       ", b"'shape': (9999999999,), }")
    unclosed = whole.replace(b"(4,)", b"(4, ")
    change_tree(path, lambda tree: tree["content"]["mean"].update(file="array.npy"))
    for content in (huge, unclosed, whole[:-1], b"", b"PK\x03\x04"):
        assert content != whole
        rewrite(path, array_npy=content)
        with pytest.raises(SchemaError, match=r"schema\.json is not as skops writes it"):
            read_model(path)


def test_deep_nesting_is_refused(path):
    for member in ("schema_json", "card_json"):
        rewrite(path, **{member: b"[" * 200_000 + b"]" * 200_000})
        with pytest.raises(SchemaError, match="cannot be parsed"):
            read_model(path)


def test_a_compressed_member_is_refused_unread(path):
    with ZipFile(path, "a", ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", bytes(1 << 24))
    with pytest.raises(SchemaError, match="members are not stored as they are"):
        read_model(path)
    with pytest.raises(SchemaError, match="members are not stored as they are"):
        read_card(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_cut_off_or_damaged_is_one_clear_error(tmp_path_factory, data):
    whole = tmp_path_factory.getbasetemp() / "whole.skops"
    if not whole.exists():
        write(whole)
    content = bytearray(whole.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    broken = whole.with_name("broken.skops")
    broken.write_bytes(content)
    try:
        card, learnt = read_model(broken)
    except SchemaError as error:
        assert error.subject == str(broken)
        assert error.problem
        assert error.remedy
    else:
        # Members have checksums, so what was hit is a date or the like.
        assert card.to_json() == CARD
        assert_same(learnt)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damage_that_checksums_hide_is_one_clear_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "rewritten.skops"
    write(path)
    with ZipFile(path) as archive:
        name = data.draw(st.sampled_from(archive.namelist()))
        content = bytearray(archive.read(name))
    # The head of an array is where its type and shape stand.
    end = min(len(content), 100) if name.endswith(".npy") else len(content)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    with ZipFile(path) as archive:
        contents = {other: archive.read(other) for other in archive.namelist()}
    with ZipFile(path, "w") as archive:
        for other, whole in contents.items():
            archive.writestr(other, bytes(content) if other == name else whole)
    try:
        read_model(path)
    except SchemaError as error:
        assert error.subject == str(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"track_id,path\n", b"\x89HDF\r\n\x1a\n"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "m.skops").write_bytes(content)
    with pytest.raises(SchemaError, match=r"is no model|is cut off or damaged"):
        read_card(tmp_path / "m.skops")


@pytest.mark.parametrize("name", ["gone.skops", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(UsageError, match="cannot be read"):
        read_model(tmp_path / name)


def test_a_plain_skops_file_is_no_model_of_ours(tmp_path):
    skops.io.dump(ARRAYS, tmp_path / "m.skops")
    with pytest.raises(SchemaError, match=r"has no card: give a file that mer train wrote"):
        read_card(tmp_path / "m.skops")


def test_a_card_without_a_tree_is_refused(path):
    rewrite(path, schema_json=None)
    assert read_card(path).architecture == "svm"
    with pytest.raises(SchemaError, match=r"has no schema\.json"):
        read_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": "2.0"}, "card of version 2.0; this program reads version 1"),
        ({"schema": "features"}, "card.schema is 'features', not 'model.card'"),
        ({"classes": [1, 2]}, "card.classes.0. is not of type string"),
        ({"classes": "weak"}, "card.classes is not of type array"),
        ({"audio": {"sample_rate": "8000"}}, "card.audio has no length_s"),
        ({"seed": True}, "card.seed is not of type integer"),
    ],
)
def test_a_foreign_card_is_refused(path, change, message):
    rewrite(path, card_json=json.dumps(HEAD | CARD | change).encode())
    with pytest.raises(SchemaError, match=message):
        read_model(path)


def test_a_later_card_of_the_same_major_version_is_read(path):
    later = HEAD | CARD | {"schema_version": "1.7", "mood": "new"}
    rewrite(path, card_json=json.dumps(later).encode())
    assert read_card_json(path)["mood"] == "new"


@pytest.mark.parametrize("content", [b"", b"\xff", b"[1]", b"null", b'"card"'])
def test_a_card_that_is_no_card_is_refused(path, content):
    rewrite(path, card_json=content)
    with pytest.raises(SchemaError):
        read_card(path)


def places_of(value: Any) -> list[list[Any]]:
    """List the path to every value within, the whole included."""
    places: list[list[Any]] = [[]]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        within = places_of(item) if isinstance(item, dict | list) else [[]]
        places += [[key, *place] for place in within]
    return places


@settings(deadline=None)
@given(st.data())
def test_the_checks_of_a_card_agree_with_jsonschema(data):
    schema = load_schema(CARD_SCHEMA)
    jsonschema.Draft202012Validator.check_schema(schema)
    card: Any = copy.deepcopy(HEAD | CARD)
    scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text("ab")
    *way, last = data.draw(st.sampled_from([place for place in places_of(card) if place]))
    holder = card
    for key in way:
        holder = holder[key]
    if data.draw(st.booleans()):
        del holder[last]
    else:
        holder[last] = data.draw(scalars | st.lists(scalars, max_size=2) | st.just({}))
    valid = jsonschema.Draft202012Validator(schema).is_valid(card)
    assert (not list(find_problems(card, schema))) == valid


@pytest.mark.parametrize("value", [None, True, 1, 2.5, "a", [], {}])
def test_every_type_in_the_schema_of_cards_can_be_checked(value):
    schema = load_schema(CARD_SCHEMA)
    types = {
        found["type"]
        for path in places_of(schema)
        if "type" in (found := follow(schema, path)) and isinstance(found["type"], str)
    }
    assert "boolean" in types
    for name in types:
        valid = jsonschema.Draft202012Validator({"type": name}).is_valid(value)
        assert (not list(find_problems(value, {"type": name}))) == valid


def follow(value: Any, path: list[Any]) -> dict[str, Any]:
    """Give the object at a path of keys; an empty one where there is something else."""
    for key in path:
        value = value[key]
    return value if isinstance(value, dict) else {}
