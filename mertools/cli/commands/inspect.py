"""`mer inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_LIST = 40
"""Longer lists are shortened for a person; JSON has all items."""


def inspect(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|NAME",
            help="Any artifact or model, or the name of one that mer models lists.",
        ),
    ],
    brief: Annotated[bool, typer.Option("--brief", help="Print a few lines only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    card: Annotated[
        bool,
        typer.Option(
            "--card", help="Print a model's card in Markdown instead: README.md beside it."
        ),
    ] = False,
) -> None:
    """Show what an artifact or a model holds.

    Rows, columns, parameters, how a model was made. With --card it is what a model's authors say of
    it: what it learnt from, how well it predicts, what it is not for.

    \b
    Examples:
      mer inspect features.h5
      mer inspect arousal.skops --brief
      mer inspect arousal.skops --json | jq .scores
      mer inspect emotify-arousal --card
    """
    import json
    from pathlib import Path

    from mertools.cli.shared.console import printable
    from mertools.errors import UsageError
    from mertools.prediction.installed import find_by_name, find_card

    path = Path(file)
    # A file goes before a model of that name. A path that is neither fails when it is read.
    path = path if path.exists() else find_by_name(file) or path
    forms = [
        option
        for option, is_given in (("--brief", brief), ("--json", as_json), ("--card", card))
        if is_given
    ]
    if len(forms) > 1:
        raise UsageError(" and ".join(forms), "exclude each other", "give one of them")
    content = describe(path)
    found = find_card(path) if content["artifact"] == "model" else None
    if card:
        if found is None:
            raise UsageError(path, "has no card in Markdown", "put one beside it, as README.md")
        _show_card(found)
    elif as_json:
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    elif brief:
        for line in _brief_lines(path, content):
            typer.echo(printable(line))
    else:
        for line in _lines(content):
            typer.echo(printable(line))
        if found is not None:
            typer.echo(f"card: {found} (--card prints it)")


def _brief_lines(path: Path, content: dict[str, Any]) -> Iterator[str]:
    from mertools.artifacts.model_file import read_card
    from mertools.cli.shared.brief import brief_artifact, brief_model

    if content["artifact"] == "model":
        return brief_model(read_card(path))
    return brief_artifact(content)


def _show_card(card: Path) -> None:
    """Print a card: as it stands, or laid out and without its head on a terminal."""
    import os
    import sys

    from mertools.cli.shared.console import printable
    from mertools.errors import SchemaError
    from mertools.prediction.installed import CARD_FENCE

    try:
        text = card.read_text("utf-8")
    except UnicodeDecodeError:
        raise SchemaError(card, "is not UTF-8", "save it as that") from None
    if not sys.stdout.isatty():
        typer.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    _, _, body = text.partition(f"\n{CARD_FENCE}\n")
    shown = "\n".join(map(printable, body.splitlines()))
    # The blue of most terminals cannot be read on black.
    readable = Theme({"markdown.link": "cyan", "markdown.link_url": "underline cyan"})
    screen = Console(no_color="NO_COLOR" in os.environ, theme=readable)
    screen.print(Markdown(shown))


def describe(path: Path) -> dict[str, Any]:
    """Describe an artifact in what JSON can hold.

    Raises UsageError or SchemaError where that is not possible.
    """
    from mertools.artifacts.validate import artifact_kind

    kind = artifact_kind(path)
    if kind == "features":
        return {"artifact": kind} | _describe_features(path)
    if kind == "model":
        from mertools.artifacts.model_file import read_card_json

        return {"artifact": kind} | read_card_json(path)
    if kind == "json":
        from mertools.artifacts.validate import read_json

        report = read_json(path)
        return {"artifact": report.get("schema", kind)} | report
    return {"artifact": kind} | _describe_table(path)


def _describe_features(path: Path) -> dict[str, Any]:
    import dataclasses

    from mertools.artifacts.features_file import open_features

    with open_features(path) as features:
        rows = features.rows
        kinds = [dataclasses.asdict(kind) for kind in features.kinds.values()]
    for kind in kinds:
        # Hundreds of names would hide everything else.
        names = kind["columns"]
        kind["columns"] = f"{names[0]} to {names[-1]}" if names else "none"
    return {
        "segments": len(rows),
        "tracks": len({row.track_id for row in rows}),
        "seconds": sum(row.duration for row in rows),
        "silent": sum(row.silent for row in rows),
        "padded": sum(row.padded for row in rows),
        "features": {kind.pop("name"): kind for kind in kinds},
    }


def _describe_table(path: Path) -> dict[str, Any]:
    from collections import Counter

    from mertools.artifacts.tables import read_table
    from mertools.artifacts.validate import find_row_type

    row_type = find_row_type(path)
    rows = list(read_table(str(path), row_type))
    content: dict[str, Any] = {"rows": len(rows)}
    if hasattr(row_type, "track_id"):
        content["tracks"] = len({row.track_id for row in rows if hasattr(row, "track_id")})
    for column in ("target", "level", "class_name", "predicted", "split", "sample_rate"):
        values = Counter(getattr(row, column) for row in rows if hasattr(row, column))
        values.pop(None, None)
        if values:
            content[column] = {str(value): n for value, n in sorted(values.items())}
    durations = [row.duration for row in rows if getattr(row, "duration", None) is not None]  # type: ignore[attr-defined]
    if durations:
        content["seconds"] = sum(durations)
    return content


def _lines(content: dict[str, Any], indent: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in content.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            lines.append(f"{indent}{key}:")
            for item in value:
                lines += [f"{indent}  -", *_lines(item, indent + "    ")]
        elif isinstance(value, list | tuple) and len(value) > LONGEST_LIST:
            lines.append(f"{indent}{key}: {value[0]} to {value[-1]} ({len(value)})")
        elif isinstance(value, list | tuple):
            lines.append(f"{indent}{key}: {', '.join(str(item) for item in value)}")
        else:
            lines.append(f"{indent}{key}: {value}")
    return lines
