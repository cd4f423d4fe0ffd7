import hashlib
import re
from importlib.resources import files

import pytest

VENDOR = files("leaderboards.page").joinpath("vendor")
VERSION = "6.5.3"
# Of the files in the npm package tabulator-tables, unchanged.
CHECKSUMS = {
    "tabulator.min.js": "ffac518cb793c672a2f0522b7fc80bf862234d96bb1e581c8aaf7f48f130eafa",
    "tabulator_simple.min.css": "edef8839235a4b6a8c3dc391ec93f2ce1bc633dd5270a5f990753b6f9183d32b",
}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_the_library_is_the_released_one(name: str) -> None:
    assert hashlib.sha256(VENDOR.joinpath(name).read_bytes()).hexdigest() == CHECKSUMS[name]


def test_version_and_licence_are_beside_it() -> None:
    assert VENDOR.joinpath("tabulator.min.js").read_text("utf-8").startswith(f"/* Tabulator v{VERSION} ")
    assert VERSION in VENDOR.joinpath("README.md").read_text("utf-8")
    assert VENDOR.joinpath("tabulator-LICENSE.txt").read_text("utf-8").startswith("The MIT License")


def test_it_can_stand_inside_a_script_element() -> None:
    script = VENDOR.joinpath("tabulator.min.js").read_text("utf-8")
    assert not re.search(r"</script|<!--", script, re.IGNORECASE)
    assert "</style" not in VENDOR.joinpath("tabulator_simple.min.css").read_text("utf-8").lower()
