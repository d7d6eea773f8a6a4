"""Damaging files, by chance and by knowledge of their format. A seed decides everything."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

NASTY_TEXTS = (
    *("", " ", "nan", "inf", "-inf", "-1", "0", "2.5", "1e308", "-1e308", "1e-320", "1e9", "99999"),
    *("9" * 20, "9" * 5000, "true", "null", "\x1b[2J", "a\nb", "a\rb", '"', "'", ",", ";", "|"),
    *(
        "../../x",
        "/etc/passwd",
        "/dev/zero",
        ".",
        "x" * 300,
        "é",
        "\udcff",
        "\0",
        "ordered",
        "0..1",
    ),
    *("weak|weak", "1..0", "-1..1", "[" * 5000, "x" * 140_000),
)
NASTY_VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 2.5, 1e308, -1e308, 10**20, float("nan"), float("inf")),
    *("", "x", "\x1b[2J", [], [1], {}, {"a": 1}, [[]], "../../x"),
)
NASTY_BYTES = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x01\0\0\0")


def mutate_file(path: Path, chance: random.Random) -> str:
    """Damage a file in place; say how."""
    ways: list[Callable[[Path, random.Random], str]] = [mutate_bytes]
    knowing = {
        ".csv": mutate_csv,
        ".json": mutate_json,
        ".h5": mutate_hdf5,
        ".skops": mutate_archive,
        ".safetensors": mutate_safetensors,
    }.get(path.suffix)
    if knowing is not None:
        ways += [knowing] * 2
    done = chance.choice(ways)(path, chance)
    if chance.random() < 0.1:
        done += ", " + mutate_bytes(path, chance)
    return done


def mutate_bytes(path: Path, chance: random.Random) -> str:
    """Flip, overwrite, cut, insert or move bytes, in the head of the file more often."""
    data = bytearray(path.read_bytes())
    done = []
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        size = len(data)
        if size == 0:
            break
        head = min(size, chance.choice((64, 512, size, size)))
        at = chance.randrange(head)
        n = min(chance.choice((1, 2, 4, 16, 256, size // 4 + 1)), size - at)
        way = chance.choice(("flip", "flip", "overwrite", "fill", "cut", "insert", "move", "drop"))
        if way == "flip":
            data[at] ^= 1 << chance.randrange(8)
        elif way == "overwrite":
            data[at : at + 4] = chance.choice(NASTY_BYTES)
        elif way == "fill":
            data[at : at + n] = chance.randbytes(n) if chance.random() < 0.5 else bytes(n)
        elif way == "cut":
            del data[chance.randrange(size) :]
        elif way == "insert":
            data[at:at] = chance.randbytes(n)
        elif way == "move":
            other = chance.randrange(size)
            data[at : at + n] = data[other : other + n]
        else:
            del data[at : at + n]
        done.append(f"{way} at {at}")
    path.write_bytes(data)
    return ", ".join(done)


def mutate_csv(path: Path, chance: random.Random) -> str:
    """Put something odd into a cell, or misplace rows and columns."""
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8"), newline="")))
    row, column = chance.randrange(len(rows)), chance.randrange(len(rows[0]))
    way = chance.choice(
        ("cell", "cell", "cell", "column", "swap", "drop", "double", "short", "sep")
    )
    separator = ","
    if way == "cell":
        rows[row][column] = chance.choice(NASTY_TEXTS)
    elif way == "column":
        value = chance.choice(NASTY_TEXTS)
        for record in rows[1:]:
            record[column] = value
    elif way == "swap":
        other = chance.randrange(len(rows[0]))
        for record in rows:
            record[column], record[other] = record[other], record[column]
    elif way == "drop":
        for record in rows:
            del record[column]
    elif way == "double":
        rows.insert(row, list(rows[row]))
    elif way == "short":
        rows = rows[: chance.choice((1, 2))]
    else:
        separator = chance.choice(";\t|")
    text = "".join(
        separator.join(f'"{c}"' if any(q in c for q in ',"\n\r') else c for c in record) + "\n"
        for record in rows
    )
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return f"{way} of row {row} column {column}"


def mutate_value(value: Any, chance: random.Random) -> tuple[Any, str]:
    """Replace, drop or wrap something inside a value of JSON."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        if chance.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}, f"without {key}"
        inner, done = mutate_value(value[key], chance)
        return {**value, key: inner}, f"{key}.{done}"
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        if chance.random() < 0.2:
            return value[:at] + value[at + 1 :], f"without [{at}]"
        inner, done = mutate_value(value[at], chance)
        return [*value[:at], inner, *value[at + 1 :]], f"[{at}].{done}"
    odd = chance.choice((*NASTY_VALUES, [value], {"x": value}))
    if isinstance(value, int | float) and not isinstance(value, bool) and chance.random() < 0.5:
        odd = chance.choice((-value, value * 1000, value + 1, 0, 1e308, float("nan"), 10**20))
    return odd, f"= {str(odd)[:30]}"


def mutate_json(path: Path, chance: random.Random) -> str:
    """Change a value of a JSON file."""
    value, done = mutate_value(json.loads(path.read_text("utf-8")), chance)
    path.write_text(json.dumps(value), "utf-8")
    return done


def mutate_archive(path: Path, chance: random.Random) -> str:
    """Change a member of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(members))
    if name.endswith(".json"):
        value, done = mutate_value(json.loads(members[name]), chance)
        members[name] = json.dumps(value).encode()
    elif chance.random() < 0.2:
        del members[name]
        done = "missing"
    else:
        array = np.load(io.BytesIO(members[name]))
        stream = io.BytesIO()
        np.save(stream, _odd_array(array, chance))
        members[name] = stream.getvalue()
        done = "another array"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return f"{name}: {done}"


def mutate_safetensors(path: Path, chance: random.Random) -> str:
    """Change the header or the card of a network's weights."""
    data = path.read_bytes()
    n_header = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n_header])
    if chance.random() < 0.7:
        card, done = mutate_value(json.loads(header["__metadata__"]["card"]), chance)
        header["__metadata__"]["card"] = json.dumps(card)
    else:
        header, done = mutate_value(header, chance)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + n_header :])
    return f"header {done}"


def mutate_hdf5(path: Path, chance: random.Random) -> str:
    """Change an attribute, a dataset or a link."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = chance.choice(names)
        item = file[name]
        way = chance.choice(
            ("attribute", "attribute", "dataset", "dataset", "link", "drop", "huge")
        )
        if way == "attribute":
            holder = item if len(item.attrs) else file
            key = chance.choice(sorted(holder.attrs))
            del holder.attrs[key]
            if chance.random() < 0.8:
                holder.attrs[key] = chance.choice(
                    (0, 1e308, "", "x" * 1000, "{", "null", [1, 2], ["a"], b"\xff", np.nan)
                )
            return f"{name}: attribute {key}"
        if way == "dataset" and isinstance(item, h5py.Dataset):
            array, attributes = item[...], dict(item.attrs)
            del file[name]
            dtype = h5py.string_dtype() if array.dtype == object else None
            odd = _odd_array(array, chance)
            new = file.create_dataset(name, data=odd, dtype=dtype if odd.dtype == object else None)
            new.attrs.update(attributes)
            return f"{name}: another dataset"
        if way == "huge" and isinstance(item, h5py.Dataset) and item.dtype != object:
            shape, attributes = item.shape, dict(item.attrs)
            del file[name]
            n = chance.choice((shape[0], 2**24, 2**40))
            new = file.create_dataset(
                name,
                (n, *shape[1:-1], 2**20) if shape[1:] else (n,),
                item_dtype(attributes),
                chunks=True,
            )
            new.attrs.update(attributes)
            return f"{name}: huge"
        del file[name]
        if way == "link":
            file[name] = chance.choice(
                (
                    file["/"],
                    h5py.SoftLink("/segments"),
                    h5py.SoftLink(f"/{name}"),
                    h5py.ExternalLink("/etc/passwd", "/x"),
                    h5py.ExternalLink(path.name, "/segments"),
                )
            )
        return f"{name}: {way}"


def item_dtype(attributes: dict[str, Any]) -> str:
    """Give a type for a dataset that is never written: of a kind of feature, or of a column."""
    return "f4" if "params" in attributes else "f8"


def _odd_array(array: np.ndarray, chance: random.Random) -> np.ndarray:
    """Change an array's values, shape or type."""
    way = chance.randrange(7)
    if array.dtype == object:
        odd = array.copy()
        odd.flat[chance.randrange(max(1, odd.size))] = os.fsencode(
            chance.choice([text for text in NASTY_TEXTS if "\0" not in text])
        )
        return odd if way else array[:-1]
    if way == 0:
        return array[:-1] if array.ndim else array
    if way == 1:
        return array.astype(chance.choice(("f8", "f2", "i8", "u1", "c8", "?")), copy=False)
    if way == 2:
        return np.concatenate([array, array]) if array.ndim else array.reshape(1)
    if way == 3:
        return array.reshape(-1)
    odd = array.copy()
    if odd.dtype.kind == "f":
        odd[...] = odd if way > 4 else chance.choice((0, np.nan, np.inf, -1, 3e38))
        odd.flat[chance.randrange(max(1, odd.size))] = chance.choice((np.nan, np.inf, -1, 3e38, 0))
    elif odd.size:
        odd.flat[chance.randrange(odd.size)] = chance.choice((0, 1, 127))
    return odd
