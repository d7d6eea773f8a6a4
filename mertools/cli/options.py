"""Options that several commands share, each told once."""

from __future__ import annotations

from typing import Annotated

import typer

Output = Annotated[
    str, typer.Option("--output", "-o", help="File to write; - is standard output.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything that chance decides.", min=0)]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Processes to work with.", show_default="all cores"),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but what is wrong.", is_flag=True)
]
Force = Annotated[
    bool, typer.Option("--force", help="Make everything anew; keep nothing made before.")
]
FailuresFile = Annotated[
    str | None, typer.Option("--failures", help="CSV file to list the inputs that failed in.")
]
NullSeparated = Annotated[
    bool, typer.Option("--null", "-0", help="Names on standard input end with NUL, not newline.")
]
