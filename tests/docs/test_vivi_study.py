"""The numbers of the VIVI study in README and docs/vivi.md follow from the scores that lie beside the benchmarks."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from vtab_harness import registry

ROOT = Path(__file__).parents[2]
SUITE = registry.suites.get("mini").tasks


def quoted(scores: pd.DataFrame) -> str:
    """Mean over the seeds of the means over tasks, with the 95 % t-interval of that mean, as pages have it."""
    means = scores.groupby("seed")["accuracy"].mean()
    half = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return f"{means.mean():.1f} ± {half:.1f}"


def rows() -> dict[str, list[str]]:
    study = pd.read_csv(ROOT / "tests" / "benchmarks" / "results" / "vivi_study.csv")
    study["group"] = [registry.tasks.get(task).group for task in study["task"]]
    found = {}
    for method, scores in study.groupby("method"):
        mini = scores[scores["task"].isin(SUITE)]
        assert len(mini) == len(SUITE) * scores["seed"].nunique()
        groups = [mini[mini["group"] == group] for group in ("natural", "specialized", "structured")]
        found[str(method)] = [quoted(part) for part in (mini, *groups, scores[scores["task"] == "caltech101"])]
    return found


def test_the_table_of_the_study() -> None:
    expected = rows()
    page = (ROOT / "docs" / "vivi.md").read_text(encoding="utf-8")
    shown = {
        cells[0].split(":")[0].split(" ")[0]: [cell.strip("*") for cell in cells[1:]]
        for line in re.findall(r"^\| (.*? ± .*) \|$", page, re.MULTILINE)
        for cells in [line.split(" | ")]
    }
    assert shown == expected
    assert len(shown) == 6


def test_the_sentence_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"\[A longer study\]\(.*?\) finds (.*?)\.\n", readme)
    expected = rows()
    assert re.findall(r"[\d.]+ ± [\d.]+", sentence) == [expected[m][0] for m in ("random", "ex-frame", "vivi-ex2")]
