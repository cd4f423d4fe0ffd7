"""Headings of the score table."""

from vtab_harness.cli.tables import short_names


def test_the_name_alone_where_it_tells_backbones_apart() -> None:
    assert short_names(["timm:resnet18?pretrained=false", "local-dir:/runs/a/", "python:m.n:Net?x=1"]) == [
        "resnet18",
        "a",
        "Net",
    ]


def test_differing_options_where_names_are_equal() -> None:
    specs = ["timm:r?input_size=64&seed=0", "timm:r?input_size=64&seed=1", "timm:r?input_size=64"]
    assert short_names(specs) == ["r seed=0", "r seed=1", "r"]


def test_whole_path_where_only_folders_differ() -> None:
    assert short_names(["local-dir:a/last", "local-dir:b/last"]) == ["local-dir:a/last", "local-dir:b/last"]
