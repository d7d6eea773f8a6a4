"""Options that several commands share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mertools.audio import settings

DEVICES = ("auto", "cpu", "cuda", "mps")


def complete_devices(incomplete: str) -> list[str]:
    """Complete the name of a device; whether it is there only torch knows, which is slow to ask."""
    return [name for name in DEVICES if name.startswith(incomplete)]


def complete_kinds(incomplete: str) -> list[str]:
    """Complete the name of a kind of feature."""
    from mertools.features.registry import KINDS

    return [name for name in KINDS if name.startswith(incomplete)]


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Sound files, folders, a manifest (CSV), or - for paths or a manifest on standard "
        "input.",
        show_default=False,
    ),
]
Output = Annotated[
    str,
    typer.Option("--output", "-o", metavar="FILE", help="File to write; - is standard output."),
]
Length = Annotated[
    float,
    typer.Option(metavar="SECONDS", help="Length of the segments that whole tracks are cut into."),
]
Hop = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="From the start of one segment to the next one's.",
        show_default="the length",
    ),
]
PlotFolder = Annotated[
    Path | None,
    typer.Option("--plot", metavar="DIR", help="Folder to draw figures in.", show_default=False),
]
PlotFormat = Annotated[Literal["png", "svg"], typer.Option(help="Format of the figures.")]
Form = Literal["table", "csv", "json", "jsonl"]
Format = Annotated[
    Form | None,
    typer.Option(
        help="Form of the rows.",
        show_default="as the ending of -o says; else table on a terminal, csv elsewhere",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of everything that chance decides.", min=0)]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Processes to work with.", show_default="all cores"),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Scheduler of a Dask cluster to work on instead, such as tcp://HOST:8786.",
        show_default=False,
    ),
]
Shards = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Leave the features there, in files that workers write; -o refers to them.",
        show_default=False,
    ),
]
ShardSize = Annotated[int, typer.Option(min=1, help="Tracks of a file of --shards.")]
TRACKS_OF_A_SHARD = 100
"""A task of seconds to half a minute, far longer than it takes to hand out."""
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="Where torch computes: auto (a GPU if there is one), cpu, cuda, mps.",
        autocompletion=complete_devices,
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Text encoder: a folder with config.json, tokenizer.json and model.safetensors, or "
        "the name of one that is here.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but what is wrong.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
TrainingFeatures = Annotated[
    list[str],
    typer.Option("--features", metavar="FILE", help="Features to learn from; repeatable."),
]
TrainingLabels = Annotated[str, typer.Option("--labels", metavar="FILE", help="Labels to learn.")]
Target = Annotated[str, typer.Option(help="Which target of the labels to learn.")]
Folds = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Table of each track's fold, to share folds between models: read where it exists, "
        "else written.",
        show_default=False,
    ),
]
OutOfFold = Annotated[
    str | None,
    typer.Option(
        "--predictions",
        metavar="FILE",
        help="Also write the cross-validation's predictions, each by a model that did not learn "
        "from the track.",
        show_default=False,
    ),
]
Licence = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Licence of the model, for its card: who may use what was learnt from these data.",
        show_default=False,
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Make everything anew; keep nothing made before.")
]
FailuresFile = Annotated[
    str | None,
    typer.Option(
        "--failures",
        metavar="FILE",
        help="CSV file to list the inputs that failed in.",
        show_default=False,
    ),
]
NullSeparated = Annotated[
    bool, typer.Option("--null", "-0", help="Paths on standard input end with NUL, not newline.")
]
IdFrom = Annotated[
    settings.IdFrom,
    typer.Option(
        help="Where a file's track_id comes from: stem (its name; the path in its folder where two "
        "share one) or path (the path in its folder)."
    ),
]
