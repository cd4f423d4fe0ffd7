"""The story of README and docs/library.md: modules in memory, ten tasks, a frame, a plot, a paired comparison."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import leaderboards
from vtab_harness.notebook.results import COLUMNS

ROOT = Path(__file__).parents[3]
# Those of the story would be downloaded, and take longer.
SMALL = {
    'suite="mini"': 'suite="mini", protocol="knn"',
    "resnet50.a1_in1k": "test_resnet.r160_in1k",
    "resnet50.a2_in1k": "test_byobnet.r160_in1k",
    "pretrained=True": "pretrained_cfg_overlay={'input_size': (3, 32, 32)}",
}


def story(page: str) -> str:
    (found,) = re.findall(
        r"```python\n(import leaderboards\n.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL
    )
    return str(found)


def test_readme_and_the_page_tell_the_same_in_ten_lines() -> None:
    assert story("README.md") == story("docs/library.md")
    assert len([line for line in story("README.md").splitlines() if line]) <= 10


def test_it_runs(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    plt.switch_backend("agg")
    code = story("docs/library.md")
    for name, small in SMALL.items():
        assert name in code
        code = code.replace(name, small)
    told: dict[str, object] = {}
    exec(code, told)
    frame = told["frame"]
    assert len(frame) == 20
    assert len(plt.gca().patches) == 20
    plt.close("all")
    assert re.search(r"a1|a2", capsys.readouterr().out)
    # Columns in common say the same of every record.
    loaded = leaderboards.load("results")
    common = [name for name in frame if name in loaded]
    assert set(COLUMNS) - set(common) == {"chance"}
    key = ["spec", "task", "seed"]
    ours, theirs = (found[common].astype(dict.fromkeys(key[:2], str)).sort_values(key) for found in (frame, loaded))
    assert dict(frame[common].dtypes.map(str)) == dict(loaded[common].dtypes.map(str))
    for name in common:
        assert ours[name].tolist() == theirs[name].tolist(), name
