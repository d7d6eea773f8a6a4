"""`mer` run in the test's own process, into which torch need not be imported each time."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from mertools.cli.app import app


def here(*arguments: object, status: int = 0) -> Result:
    """Run `mer` in the working folder."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == status, (done.stderr, done.exception)
    return done


def card_of(model: str | Path) -> dict[str, Any]:
    """Give what `mer inspect --json` says of a model."""
    return dict(json.loads(here("inspect", model, "--json").stdout))


def rows(path: str | Path) -> list[dict[str, str]]:
    """Read a CSV table."""
    with Path(path).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
