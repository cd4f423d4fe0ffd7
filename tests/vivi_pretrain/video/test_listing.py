"""Videos are found, named without clashes, and never outside the folder they are to lie in."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivi_pretrain.video.listing import Entry, list_videos, video_names
from vtab_harness.api.errors import DataError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_tree_is_walked(tmp_path):
    touch(tmp_path, "b.mp4", "sub/a b.MKV", "sub/note.txt", ".hidden.mp4", ".cache/c.mp4")
    listing = list_videos([tmp_path])
    assert listing.root == tmp_path
    assert listing.entries == (Entry("b", "b.mp4"), Entry("sub-a-b", "sub/a b.MKV"))
    assert listing.ignored == 1


def test_files_and_folders_share_the_deepest_root(tmp_path):
    touch(tmp_path, "x/a.mp4", "x/y/b.mp4", "x/z/odd.dat")
    listing = list_videos([tmp_path / "x/y", tmp_path / "x/z/odd.dat", tmp_path / "x/y/b.mp4"])
    assert listing.root == tmp_path / "x"
    assert [entry.path for entry in listing.entries] == ["y/b.mp4", "z/odd.dat"]
    assert list_videos([tmp_path / "x/y"], tmp_path).entries == (Entry("x-y-b", "x/y/b.mp4"),)
    with pytest.raises(DataError, match="outside the root"):
        list_videos([tmp_path / "x/a.mp4"], tmp_path / "x/y")


def test_nothing_to_index_is_an_error_with_a_remedy(tmp_path):
    touch(tmp_path, "note.txt")
    with pytest.raises(DataError, match=r"no video in .*1 other files") as caught:
        list_videos([tmp_path])
    assert ".mp4" in (caught.value.hint or "")
    with pytest.raises(DataError, match="does not exist"):
        list_videos([tmp_path / "gone"])


def manifest(folder, text):
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest_keeps_ids_and_may_name_missing_files(tmp_path):
    path = manifest(tmp_path, "id,label,path\n-dQw4w9_gX,3,sub/b.mp4\nabc,4,a.mp4\n")
    listing = list_videos([path])
    assert listing.root == tmp_path
    assert listing.entries == (Entry("abc", "a.mp4"), Entry("-dQw4w9_gX", "sub/b.mp4"))
    assert list_videos([manifest(tmp_path, "\ufeffpath\nx/../a.mp4\n")]).entries == (Entry("a", "a.mp4"),)


def test_a_manifest_with_a_root(tmp_path):
    path = manifest(tmp_path, f"path\na.mp4\n{tmp_path}/videos/b.mp4\n")
    listing = list_videos([path], tmp_path / "videos")
    assert listing.root == tmp_path / "videos"
    assert [entry.path for entry in listing.entries] == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("path\na.mp4\n../b.mp4\n", r"line 3: \.\./b\.mp4 leads outside"),
        ("path\n/etc/passwd\n", "line 2: /etc/passwd leads outside"),
        ("path\nlink/b.mp4\n", "line 2: link/b.mp4 leads outside"),
        ("path\n.\n", r"line 2: \. leads outside"),
        ("path,x\n,1\n", "line 2: the path is empty"),
        ("path\na.mp4\nb/../a.mp4\n", "line 3: a.mp4 was named before, in line 2"),
        ("id,path\nx,a.mp4\nx,b.mp4\n", "line 3: the id x was used before, in line 2"),
        ("id,path\na/b,a.mp4\n", "line 2: the id 'a/b' cannot be used"),
        ("file\na.mp4\n", "no column `path`"),
        ("path\n", "lists no video"),
        ("", "no column `path`"),
    ],
)
def test_what_is_wrong_in_a_manifest_is_named(tmp_path, text, problem):
    (tmp_path / "folder").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=problem):
        list_videos([manifest(tmp_path / "folder", text)])


def test_manifests_stand_alone_and_are_text(tmp_path):
    touch(tmp_path, "a.mp4")
    path = manifest(tmp_path, "path\na.mp4\n")
    with pytest.raises(DataError, match="cannot be mixed"):
        list_videos([path, tmp_path / "a.mp4"])
    path.write_bytes(b"path\n\xff\xfe.mp4\n")
    with pytest.raises(DataError, match="UTF-8"):
        list_videos([path])
    with pytest.raises(DataError, match="cannot be read"):
        list_videos([tmp_path / "gone.csv"])


PATHS = st.lists(st.text("aA1 ./-é", min_size=1, max_size=6).map(lambda text: text + ".mp4"), unique=True, max_size=12)


@given(PATHS)
def test_names_are_unique_and_safe_for_any_paths(paths):
    names = video_names(paths)
    assert set(names) == set(paths)
    assert len({name.lower() for name in names.values()}) == len(paths)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names.values())
    assert video_names(list(reversed(paths))) == names


def test_names_that_clash_or_are_long_get_a_hash():
    names = video_names(["a.mp4", "a.mkv", "b.mp4", "x" * 300 + ".mp4", "видео.mp4"])
    assert names["b.mp4"] == "b"
    assert re.fullmatch(r"a-[0-9a-f]{12}", names["a.mp4"])
    assert names["a.mp4"] != names["a.mkv"]
    assert len(names["x" * 300 + ".mp4"]) == 93
    assert re.fullmatch(r"[0-9a-f]{12}", names["видео.mp4"])
