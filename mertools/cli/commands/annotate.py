"""`mer annotate`: a project of Label Studio, to have tracks rated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mertools.cli.shared import options

if TYPE_CHECKING:
    from mertools.targets.scale import Scale, Target


def annotate(
    inputs: options.Inputs,
    target: Annotated[
        list[str], typer.Option(metavar="NAME", help="What is to be rated; repeatable.")
    ],
    output: options.Output = "-",
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="File for the labelling interface (XML), to paste into the project's settings.",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET=NAME,NAME,...",
            help="A target's classes, one of which is chosen, from the lowest up; repeatable.",
            show_default="those of arousal and valence, as mer aggregate-labels knows them",
        ),
    ] = None,
    scale: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TARGET=]LOW..HIGH",
            help="Rate a target, or all, by a number: stars from 1 to at most 10, or any range; "
            "repeatable.",
            show_default=False,
        ),
    ] = None,
    root: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="The folder that Label Studio serves, LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT.",
        ),
    ] = "/",
    id_from: options.IdFrom = "stem",
    null: options.NullSeparated = False,
    failures: options.FailuresFile = None,
) -> None:
    """Make a Label Studio project to have tracks rated.

    Writes tasks to import (JSON), a track or segment each, and the labelling interface. Label
    Studio plays the files where they are: start it with local files enabled. Its export, with all
    annotators, is what mer aggregate-labels reads.

    \b
    Examples:
      mer annotate tracks.csv --target arousal --target valence -o tasks.json --config label.xml
      mer annotate songs/ --target arousal --scale 1..9 -o tasks9.json --config label9.xml
    """
    import json
    from pathlib import Path

    from mertools.artifacts.files import open_output
    from mertools.cli.shared.console import say
    from mertools.cli.shared.failures import Failures
    from mertools.cli.shared.inputs import gather_sources
    from mertools.cli.shared.labels import parse_class_names, parse_per_target
    from mertools.errors import InputError
    from mertools.labels.label_project import make_config, make_task
    from mertools.targets.scale import parse_range

    scales = parse_per_target("--scale", scale, parse_range)
    names = parse_per_target("--classes", classes, parse_class_names, for_all=False)
    targets = _find_targets(target, names, scales)
    folder = Path(root).absolute()
    with Failures("annotate", failures) as failed:
        tasks = []
        for source in gather_sources(inputs, null_separated=null, id_from=id_from):
            try:
                if isinstance(source, InputError):
                    raise source
                tasks.append(make_task(source, folder))
            except InputError as error:
                failed.add(error)
            else:
                failed.count_done()
        with open_output(output) as stream:
            json.dump(tasks, stream, indent=1, ensure_ascii=False)
            stream.write("\n")
        if config is not None:
            with open_output(config) as stream:
                stream.write(make_config(targets))
        say(f"read its export with: mer aggregate-labels {_reading(targets)} EXPORT.json")


def _find_targets(
    asked: Sequence[str],
    classes: Mapping[str, tuple[str, ...]],
    scales: Mapping[str, Scale],
) -> list[Target]:
    """Give the targets with their scales; raise UsageError where one has none, or two."""
    from mertools.errors import UsageError, choose_from
    from mertools.labels.classes import EVERY_TARGET, for_target
    from mertools.targets.scale import CLASS_NAMES, Classes, Target

    for name in {*classes, *scales} - {EVERY_TARGET, *asked}:
        raise UsageError(name, "is not to be rated", choose_from(asked, name))
    targets = []
    for name in dict.fromkeys(asked):
        if name in classes and name in scales:
            raise UsageError(name, "has classes and a scale", "give --classes or --scale")
        found = None if name in classes else for_target(scales, name)
        if found is None:
            of_target = classes.get(name, CLASS_NAMES.get(name))
            if of_target is None:
                remedy = f"give --classes {name}=NAME,NAME or --scale {name}=LOW..HIGH"
                raise UsageError(f"--target {name}", "has no classes that are known", remedy)
            found = Classes(of_target, ordered=True)
        targets.append(Target(name, found))
    return targets


def _reading(targets: Sequence[Target]) -> str:
    """Give the options by which `mer aggregate-labels` reads ratings of the targets."""
    import shlex

    from mertools.targets.scale import CLASS_NAMES, Classes

    words = []
    for target in targets:
        words += ["--target", target.name]
        if not isinstance(target.scale, Classes):
            words += ["--scale", f"{target.name}={target.scale}"]
        elif CLASS_NAMES.get(target.name) != target.classes:
            words += ["--classes", f"{target.name}={','.join(target.classes)}"]
    return shlex.join(words)
