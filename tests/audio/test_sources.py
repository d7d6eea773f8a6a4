from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mertools.artifacts.rows import Segment, Track
from mertools.audio.sources import find_sources, name_tracks
from mertools.errors import InputError, SchemaError, UsageError


def ids(inputs: list[Path], id_from: str = "stem") -> list[str]:
    return [track.track_id for track in find_sources([str(p) for p in inputs], id_from=id_from)]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_folder_is_searched_in_order_for_sound(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("b.wav", "a/c.MP3", "a/note.txt", ".hidden.wav")))
    found = list(find_sources([str(tmp_path)]))
    assert found == [Track("c", str(tmp_path / "a/c.MP3")), Track("b", str(tmp_path / "b.wav"))]


def test_files_that_share_a_name_are_told_apart(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("a/x.wav", "b/x.wav", "b/y.wav", "b/y.mp3", "z.wav")))
    assert ids([tmp_path]) == ["a/x", "b/x", "b/y.mp3", "b/y.wav", "z"]
    assert ids([tmp_path / "a/x.wav", tmp_path / "b/x.wav"]) == ["a/x", "b/x"]
    assert ids([tmp_path], "path")[-1] == "z"


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(["stem", "path"]),
)
def test_track_ids_are_unique(names: list[str], id_from: str) -> None:
    files = [(Path(f"{name}.{suffix}"), Path(name).parent) for name in names for suffix in "xy"]
    tracks = list(name_tracks(files, id_from))
    assert len({track.track_id for track in tracks}) == len({path for path, _ in files})


def test_what_is_missing_or_holds_nothing_is_a_failure_among_others(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    (tmp_path / "empty").mkdir()
    found = list(find_sources([str(tmp_path / "empty"), str(tmp_path / "a.wav")]))
    assert isinstance(found[0], InputError)
    assert found[1] == Track("a", str(tmp_path / "a.wav"))


def test_a_manifests_paths_start_here_or_beside_it(tmp_path: Path) -> None:
    touch(tmp_path / "corpus/audio/a.wav")
    (tmp_path / "corpus/tracks.csv").write_text("track_id,path,genre\n1,audio/a.wav,pop\n")
    assert list(find_sources([str(tmp_path / "corpus/tracks.csv")])) == [
        Track("1", str(tmp_path / "corpus/audio/a.wav"))
    ]


def test_a_manifest_of_segments(tmp_path: Path) -> None:
    table = tmp_path / "segments.csv"
    table.write_text(
        'segment_id,track_id,path,start,duration,sample_rate\n"1,0",1,"a\nb.wav",0.5,10,8000\n'
    )
    assert list(find_sources([str(table)])) == [Segment("1,0", "1", "a\nb.wav", 0.5, 10.0, 8000)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("track_id,file\n1,a.wav\n", "no column path"),
        ("path\na.wav\n", "no column track_id"),
        ("track_id,path\n1,a.wav,3\n", "3 cells"),
        ("track_id,path\n1,a.wav\n1,b.wav\n", "key 1 again"),
        ("track_id,path,sample_rate\n1,a.wav,fast\n", "column sample_rate is 'fast'"),
    ],
)
def test_a_manifest_that_breaks_its_schema_is_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    table = tmp_path / "tracks.csv"
    table.write_text(text)
    with pytest.raises(SchemaError, match=problem):
        list(find_sources([str(table)]))


def test_no_input_at_all_is_wrong_usage() -> None:
    with pytest.raises(UsageError):
        list(find_sources([]))
