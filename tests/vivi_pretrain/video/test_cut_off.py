"""Every shorter copy of a file is seen to be cut off; whole files and live recordings are not."""

import pytest

from vivi_pretrain.video.cut_off import is_cut_off


@pytest.mark.parametrize(("ending", "options"), [("mp4", {"movflags": "faststart"}), ("mkv", {})])
def test_shorter_copies_are_cut_off(tmp_path, write_video, numbered_images, ending, options):
    path = write_video(tmp_path / f"a.{ending}", numbered_images(12), **options)
    data = path.read_bytes()
    assert not is_cut_off(path)
    payload = data.index(b"mdat") + 4 if ending == "mp4" else data.index(b"\x18\x53\x80\x67") + 12
    for length in range(payload, len(data), max(1, len(data) // 50)):
        path.write_bytes(data[:length])
        assert is_cut_off(path), length


def test_open_ended_and_other_files_are_not(tmp_path, write_video, numbered_images):
    assert not is_cut_off(write_video(tmp_path / "live.mkv", numbered_images(5), live=1))
    assert not is_cut_off(write_video(tmp_path / "a.avi", numbered_images(5)))
    for data in (b"", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\xff", b"\0" * 40, b"text, and more of it"):
        (tmp_path / "odd").write_bytes(data)
        assert not is_cut_off(tmp_path / "odd")
