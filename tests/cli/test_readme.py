"""README.md and CONTRIBUTING.md: what they show and name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mertools.cli.app import GROUPS
from mertools.features.registry import KINDS
from tests.conftest import Mer

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_the_readme_names_every_command_and_every_page() -> None:
    for group in GROUPS.values():
        for name in group:
            assert f"`mer {name}`" in README
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in README.partition("## Documentation")[2]
    assert README.index("$ bin/mer predict") < README.index("## What it is")
    assert README.index("## What it is") < README.index("## Installing")


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_what_is_named_is_there(text: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (ROOT / target).exists(), target
    for path in re.findall(r"`((?:mertools|tests|docs|schemas)/[\w/.]+)`", text):
        assert "NAME" in path or (ROOT / path).exists(), path


def test_registries_that_contributing_names_are_where_it_says() -> None:
    for name, path in re.findall(r"`([A-Z_]{4,})`[^`]* in\s+`([\w/]+\.py)`", CONTRIBUTING):
        assert re.search(rf"^{name}\b", (ROOT / path).read_text("utf-8"), re.M), (name, path)


def test_help_names_every_kind(mer: Mer) -> None:
    # Lines are broken behind hyphens, too.
    text = re.sub(r"-\n +", "-", mer("featurize", "--help").stdout)
    named = re.split(r"[\s,:;]+", text)
    assert set(KINDS) <= set(named)


@pytest.mark.slow
def test_the_readmes_table_is_what_predict_shows(mer: Mer) -> None:
    _, _, rest = README.partition("$ bin/mer predict examples/clips/piece0[1-5]*\n")
    clips = sorted((ROOT / "examples" / "clips").glob("piece0[1-5]*"))
    drawn = mer("predict", *clips, "--format", "table").stdout
    expected = rest.partition("```")[0].splitlines()
    assert [line.rstrip() for line in drawn.splitlines() if line] == expected
