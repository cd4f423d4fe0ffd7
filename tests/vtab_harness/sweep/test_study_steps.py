"""Which folders a study makes, in which order, and every mistake before anything is made."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from study_makers import STUDY, makers, write

from vtab_harness.api.errors import VtabError
from vtab_harness.sweep.study import read_whole_study
from vtab_harness.sweep.study_run import check_before, open_study
from vtab_harness.sweep.study_steps import missing, steps_of


@pytest.fixture(autouse=True)
def made() -> Iterator[list[str]]:
    with makers() as made:
        yield made


def labels(path: Path) -> dict[str, list[str]]:
    steps = steps_of(read_whole_study(path))
    return {name: [step.folder.name for step in of] for name, of in steps.items()}


def test_each_comes_behind_what_it_needs(tmp_path: Path) -> None:
    steps = steps_of(read_whole_study(write(tmp_path, STUDY)))
    assert [step.title for step in missing(steps)] == ["once", "twice", "first seed 0", "first seed 3", "second seed 3"]
    # The same seed, where there are several.
    assert steps["second"][0].settings.start == str(steps["first"][1].folder)
    assert steps["first"][0].source == steps["twice"][0].folder


def test_a_folder_is_called_by_what_decides_and_by_nothing_else(tmp_path: Path) -> None:
    here = labels(write(tmp_path / "a", STUDY))
    assert labels(write(tmp_path / "b", STUDY)) == here, "wherever the study lies"
    same = STUDY.replace("width = 2", "width = 2.0, workers = 8")
    assert labels(write(tmp_path / "a", same)) == here, "however the work is done"
    more = labels(write(tmp_path / "a", STUDY.replace("[0, 3]", "[0, 3, 4]")))
    assert more["first"][:2] == here["first"]
    assert more["second"] == here["second"]
    other = labels(write(tmp_path / "a", STUDY.replace("count = 3", "count = 4")))
    assert all(set(other[name]).isdisjoint(here[name]) for name in here), "data that differ are another network"
    wider = labels(write(tmp_path / "a", STUDY.replace("width = 2", "width = 3")))
    assert [name for name in here if wider[name] != here[name]] == ["first", "second"]


BASELINE = 'out = "out"\nbackbones = ["timm:test_resnet?pretrained=false"]\ntasks = ["mini_digits"]\n'
ONCE = '[[produce]]\nname = "once"\nproducer = "numbers"\n'
FIRST = '[[pretrain]]\nname = "first"\npretrainer = "no-study"\ndata = "once"\n'
SECOND = FIRST.replace("first", "second").replace('"once"', '"first"')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[pretrian]]\nname = 'a'", "unknown key 'pretrian'.\nDid you mean pretrain"),
        ("[[count]]\nunits = 'x'", "no setting 'units'.\nDid you mean unit"),
        (ONCE + FIRST.replace("no-study", "no-stduy"), "Unknown pretrainer 'no-stduy'.\nDid you mean 'no-study'"),
        (ONCE.replace("numbers", "number"), "Unknown producer 'number'.\nDid you mean 'numbers'"),
        (ONCE + FIRST + "seed = 3", r"\[\[pretrain\]\] first: unknown key 'seed'.\nDid you mean seeds"),
        (ONCE + FIRST + "set = { widht = 3 }", "has no setting 'widht'.\nDid you mean width"),
        (ONCE + FIRST + "set = { width = 'x' }", "width=x: expected a number"),
        (ONCE + FIRST + "set = { start = { folders = 'once' } }", r'given as \{ folder = "name" \}'),
        (ONCE + FIRST + "set = { seed = 1 }\nseeds = 2", "has `seeds`, and the setting `seed` as well"),
        (ONCE + FIRST.replace('"once"', '"onec"'), "neither a table of this study nor .*\nDid you mean once"),
        (ONCE + FIRST + "seeds = [1, 1]", "seeds must be different"),
        (ONCE + FIRST.replace('name = "first"', ""), "`name` is missing"),
        (ONCE + FIRST.replace("first", "../first"), "name '../first' cannot be used"),
        (ONCE + FIRST.replace('data = "once"', ""), "`data` is missing"),
        (ONCE + FIRST + FIRST, r"'first' is that of a \[\[pretrain\]\] and of a \[\[pretrain\]\]"),
        (ONCE + FIRST + FIRST.replace("first", "again"), "first and again are the same"),
        (ONCE + 'source = "once"', "numbers takes nothing as its `source`"),
        (ONCE.replace("numbers", "doubled"), "doubled takes a folder of numbers as its `source`"),
        (ONCE.replace("numbers", "doubled") + 'source = "once"', "in a circle: once <- once"),
        (ONCE + FIRST.replace('"once"', '"first"'), "in a circle: first <- first"),
        (ONCE + FIRST + 'set = { start = { folder = "second" } }\n' + SECOND, "in a circle: first <- second <- first"),
        ("[[baseline]]\nname = 'b'\nbackbone = 'timm:a?seed={seed}'", r"\{seed\} in `backbone` and `seeds` go"),
        ("[[evaluate]]\nprotocol = 'lienar'", "Unknown protocol 'lienar'.\nDid you mean 'linear'"),
        ("[[evaluate]]\nsuite = 'minni'", "Unknown suite 'minni'.\nDid you mean 'mini'"),
        ("[[evaluate]]\nonly = ['frist']\n" + ONCE + FIRST, "no backbone 'frist'.\nDid you mean first"),
        ("[[evaluate]]\ncache = 'x'", "cache is of the whole study"),
        ("[[count]]\n[[count]]", r"is the output of a \[\[count\]\] and of a \[\[count\]\]"),
        ("[[count]]\nout = 'out/results'", r"is the output of the results and of a \[\[count\]\]"),
        ("pretrain = 5", r"\[\[pretrain\]\]: expected tables"),
        ("[[baseline]]\nname = 'b'\nbackbone = 'timm:resnet1'\n" + ONCE + FIRST, "resnet1"),
    ],
)
def test_mistakes_are_named_before_anything_is_made(tmp_path: Path, made: list[str], text: str, message: str) -> None:
    with pytest.raises(VtabError, match=message):
        check_before(open_study(read_whole_study(write(tmp_path, BASELINE + text))))
    assert made == []


def test_a_pretraining_needs_a_place_and_a_study_a_backbone(tmp_path: Path) -> None:
    with pytest.raises(VtabError, match="`out` is missing"):
        open_study(read_whole_study(write(tmp_path, "tasks = ['mini_digits']\n" + ONCE + FIRST)))
    with pytest.raises(VtabError, match="there is nothing to evaluate"):
        open_study(read_whole_study(write(tmp_path, "tasks = ['mini_digits']")))


@pytest.mark.parametrize("key", ["out", "results"])
def test_a_folder_that_cannot_be_written(tmp_path: Path, key: str) -> None:
    (tmp_path / "file").touch()
    text = BASELINE.replace('out = "out"', f'{key} = "file/below"') + ("" if key == "results" else ONCE + FIRST)
    with pytest.raises(VtabError, match="file/below"):
        check_before(open_study(read_whole_study(write(tmp_path, text))))
