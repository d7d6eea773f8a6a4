from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mertools.artifacts.files import (
    digest_json,
    open_output,
    read_lines,
    remove_stale_parts,
    replacing,
)
from mertools.artifacts.journal import Journal
from mertools.errors import UsageError


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("before")
    with pytest.raises(RuntimeError), open_output(str(target)) as stream:
        stream.write("half")
        raise RuntimeError
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_part_of_a_killed_run_is_removed_and_that_of_a_living_one_kept(tmp_path: Path) -> None:
    target = tmp_path / "a[1].csv"
    writer = (
        "import sys, time; from pathlib import Path\n"
        "from mertools.artifacts.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as part: print('writing', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", writer, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    remove_stale_parts(tmp_path, target.name)
    assert len(list(tmp_path.iterdir())) == 1
    process.kill()
    process.wait()
    process.stdout.close()
    remove_stale_parts(tmp_path, target.name)
    assert list(tmp_path.iterdir()) == []


def test_a_part_is_removed_whose_run_is_killed_before_its_workers_are_gone(tmp_path: Path) -> None:
    """They inherit its lock, and may hold it when the next run begins."""
    part = tmp_path / ".a.csv.0123abcd.part"
    orphan = (
        "import fcntl, os, sys, time; descriptor = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)\n"
        "fcntl.flock(descriptor, fcntl.LOCK_EX); print('locked', flush=True)\n"
        "time.sleep(0.3); os._exit(1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", orphan, str(part)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        remove_stale_parts(tmp_path, "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_leave_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with replacing(target) as one, replacing(target) as other:
        one.write_text("one")
        other.write_text("other")
    assert target.read_text() == "one"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_place_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"), open_output(str(tmp_path / "no" / "a")):
        pass


@given(st.dictionaries(st.text(), st.integers()))
def test_digests_do_not_depend_on_the_order_of_keys(content: dict[str, int]) -> None:
    assert digest_json(content) == digest_json(dict(reversed(content.items())))


def test_names_are_split_at_their_separator_alone() -> None:
    import io

    assert list(read_lines(io.BytesIO(b"a\nb\0c d\0\xff\0"), b"\0")) == ["a\nb", "c d", "\udcff"]
    assert list(read_lines(io.BytesIO(b"a\n\nb"), b"\n")) == ["a", "b"]


def records(target: Path) -> list[tuple[str, bytes]]:
    with Journal(target) as journal:
        found = list(journal.records())
        return [(h["name"], journal.read(place, h["n"])) for h, place in found]


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=8), st.integers(0, 400))
def test_a_journal_cut_anywhere_keeps_its_whole_records(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], missing: int
) -> None:
    target = tmp_path_factory.mktemp("journal") / "features.h5"
    sizes = []
    with Journal(target) as journal:
        list(journal.records())
        for i, content in enumerate(contents):
            journal.append({"name": str(i), "n": len(content)}, content)
            sizes.append(journal.path.stat().st_size)
        path = journal.path
    left = max(0, sizes[-1] - missing)
    os.truncate(path, left)
    n_whole = sum(size <= left for size in sizes)
    assert records(target) == [(str(i), c) for i, c in enumerate(contents[:n_whole])]
    # What is left can be added to.
    with Journal(target) as journal:
        list(journal.records())
        journal.append({"name": "new", "n": 3}, b"abc")
    assert records(target)[-1] == ("new", b"abc")


def test_a_second_process_waits_for_the_journal(tmp_path: Path) -> None:
    target = tmp_path / "a"
    waiter = (
        "import sys; from pathlib import Path; from mertools.artifacts.journal import Journal\n"
        "with Journal(Path(sys.argv[1])) as journal: print(len(list(journal.records())))"
    )
    with Journal(target) as journal:
        list(journal.records())
        process = subprocess.Popen(
            [sys.executable, "-c", waiter, str(target)], stdout=subprocess.PIPE, text=True
        )
        time.sleep(0.5)
        assert process.poll() is None
        journal.append({"name": "x", "n": 0}, b"")
    answer, _ = process.communicate(timeout=10)
    assert answer == "1\n"
