"""What is shipped, what imports what, and what `--help` costs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement

from mertools.cli.app import app
from mertools.pretrained.weight_files import FOLDER
from tools.build_weights import NETWORKS, build_missing

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mertools"
CLIP = str(ROOT / "examples" / "clips" / "piece01.ogg")

# From the lowest to the highest: what is on a floor may import what is on those below it, and
# nothing else on its own. The top holds the program itself.
FLOORS = (
    {"errors", "version"},
    {"runtime"},
    {"targets"},
    {"artifacts"},
    {"audio", "text", "labels", "models", "evaluation"},
    {"importers", "dataset", "pretrained"},
    {"features"},
    {"training"},
    {"prediction"},
    {"presentation"},
    {"cli"},
    {"__main__"},
)

HEAVY = {"numpy", "torch", "librosa", "sklearn", "h5py", "scipy", "matplotlib", "soundfile", "dask"}


def imported_modules(path: Path) -> set[str]:
    """Return every absolute module name that `path` imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards_only(path: Path) -> None:
    floor_of = {layer: floor for floor, layers in enumerate(FLOORS) for layer in layers}
    layer = layer_of(path)
    imported = imported_modules(path)
    used = {name.split(".")[1] for name in imported if name.startswith("mertools.")} - {layer}
    assert {other for other in used if floor_of[other] >= floor_of[layer]} == set()
    assert not any(name.split(".")[0] == "tools" for name in imported)


def test_modules_do_not_import_each_other_in_circles() -> None:
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): imported_modules(path)
        for path in MODULES
    }
    graph = {
        name: {other for other in names for used in imported if f"{used}.".startswith(f"{other}.")}
        - {name}
        for name, imported in names.items()
    }
    while free := {name for name, needed in graph.items() if not needed & graph.keys()}:
        graph = {name: needed for name, needed in graph.items() if name not in free}
    assert sorted(graph) == []


def command_lines() -> list[tuple[str, ...]]:
    """Return every command and subcommand of mer, itself included."""
    lines = []
    waiting: list[tuple[tuple[str, ...], object]] = [((), typer.main.get_command(app))]
    while waiting:
        line, command = waiting.pop()
        lines.append(line)
        below = getattr(command, "commands", {})
        waiting += [((*line, name), subcommand) for name, subcommand in below.items()]
    return sorted(lines)


@pytest.mark.parametrize("line", command_lines(), ids=lambda line: " ".join(line) or "mer")
def test_help_imports_nothing_heavy(line: tuple[str, ...]) -> None:
    program = (
        "import sys; sys.argv[0] = 'mer'\n"
        "from mertools.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        f"print('heavy:', *set(sys.modules) & {HEAVY})"
    )
    command = [sys.executable, "-c", program, *line, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert " ".join(["Usage: mer", *line]) in done.stdout
    assert done.stdout.splitlines()[-1].split() == ["heavy:"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the back end that the environment has: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", str(folder)], cwd=ROOT, check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_holds_schemas_types_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "mer = mertools.__main__:main" in archive.read(entry_points).decode()
    schemas = {f"mertools/schemas/{path.name}" for path in (ROOT / "schemas").iterdir()}
    assert len(schemas) > 5
    assert schemas <= names
    assert "mertools/py.typed" in names
    page = ("template.html", "page.css", "drawing.js", "page.js")
    assert {f"mertools/presentation/{name}" for name in page} <= names
    assert all(any(name.endswith(f"/{text}") for name in names) for text in ("LICENSE", "NOTICE"))
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2  # the package and its .dist-info: no tests, no examples, no tools
    assert "mertools" in tops


def test_wheel_holds_the_weights_of_networks_and_their_licences(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        weights = {
            Path(name).name: archive.read(name)
            for name in archive.namelist()
            if name.startswith("mertools/pretrained/weights/")
        }
    assert weights.keys() == {
        "basic_pitch.safetensors",
        "basic_pitch.LICENSE.txt",
        "basic_pitch.NOTICE.txt",
        "musicnn.safetensors",
        "musicnn.LICENSE.txt",
    }
    assert b"Apache License" in weights["basic_pitch.LICENSE.txt"]
    assert b"Music Technology Group" in weights["musicnn.LICENSE.txt"]
    for name in ("basic_pitch", "musicnn"):
        assert weights[f"{name}.safetensors"] == (FOLDER / f"{name}.safetensors").read_bytes()


def test_weights_are_built_to_the_same_bytes(tmp_path: Path) -> None:
    if not all(find_spec(name) for name in ("basic_pitch", "musicnn")):
        pytest.skip("basic-pitch and musicnn are not installed (pip install --no-deps)")
    build_missing(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    build_missing(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert first == {path.name: path.read_bytes() for path in FOLDER.iterdir()}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (("transcribe", "a.wav"), "basic_pitch"),
        (("featurize", CLIP, "--kind", "musicnn", "--jobs", "2"), "musicnn"),
    ],
    ids=("transcribe", "featurize"),
)
def test_missing_weights_are_one_line(
    tmp_path: Path, wheel: Path, line: tuple[str, ...], name: str
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith(".safetensors")]
        archive.extractall(tmp_path / "site", names)
    command = [sys.executable, "-m", "mertools", *line, "-o", "a.h5"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"{name}.safetensors: is missing" in done.stderr
    assert done.stderr.count("\n") == 1


def test_repository_holds_no_weights_of_others() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--", "mertools/pretrained"], cwd=ROOT, capture_output=True, text=True
    )
    if tracked.returncode:
        pytest.skip("this is no git checkout")
    assert all(name.endswith(".py") for name in tracked.stdout.splitlines())


@pytest.mark.slow
def test_installed_wheel_predicts(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    # Nothing of the packages that the weights come from is there.
    program = (
        "import sys; sys.modules |= dict.fromkeys(('basic_pitch', 'musicnn', 'tensorflow'))\n"
        "from mertools.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "predict", CLIP],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("level,track_id,")


def test_installed_wheel_finds_its_schemas(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    table = tmp_path / "annotations.csv"
    table.write_text("track_id,annotator_id,target,value\na,x,arousal,1\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mertools", "validate", str(table)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {normalise(name): version for name, version in pairs}


def test_every_package_that_is_needed_is_pinned(wheel: Path, pins: dict[str, str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        headers = message_from_bytes(archive.read(name))
    waiting = [(Requirement(line), {"", "test"}) for line in headers.get_all("Requires-Dist", [])]
    seen = set()
    while waiting:
        wanted, extras = waiting.pop()
        if wanted.marker and not any(wanted.marker.evaluate({"extra": e}) for e in extras):
            continue
        key = (normalise(wanted.name), *sorted(wanted.extras))
        if key not in seen:
            seen.add(key)
            lines = metadata.requires(wanted.name) or []
            waiting += [(Requirement(line), {"", *wanted.extras}) for line in lines]
    names = {name for name, *_ in seen}
    assert len(names) > 40
    assert names <= set(pins)
    assert "tensorflow" not in pins


def test_pins_are_of_the_packages_that_weights_are_built_from(pins: dict[str, str]) -> None:
    for builder in NETWORKS.values():
        assert builder.PACKAGE.requirement.split("==") == [
            builder.PACKAGE.name,
            pins[builder.PACKAGE.name],
        ]


def test_nothing_that_requires_tensorflow_builds_the_wheel() -> None:
    content = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    requires = next(line for line in content.splitlines() if line.startswith("requires = "))
    names = {Requirement(text).name for text in ast.literal_eval(requires.partition("= ")[2])}
    assert names == {"hatchling", "numpy", "pip", "safetensors"}
