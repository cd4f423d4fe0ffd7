import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_boards import HARMFUL, made_board
from made_summary import made_summary

from leaderboards.page import write_page
from leaderboards.page.build import embedded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Elements(HTMLParser):
    """Collects elements with their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.scripts and not self.scripts[-1]:
            self.scripts[-1] = data


@given(JSON)
def test_embedded_json_cannot_leave_its_script(value: object) -> None:
    text = embedded(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set(text) & set("<>&\u2028\u2029")


def test_numbers_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        embedded([float("nan")])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    names = [*HARMFUL, "timm:</script><script>alert(1)</script><!--", "timm:{{js}}\u2028"]
    board = made_board(len(names), tasks=4, names=names)
    # Half a character, as JSON may hold one; there is no UTF-8 for it.
    rows = [replace(row, spec=f"{row.spec}\ud800") for row in board.backbones]
    board = replace(board, backbones=tuple(rows))
    return write_page(board, made_summary(board), tmp_path_factory.mktemp("page")).read_text("utf-8")


def test_harmful_names_stay_data(page: str) -> None:
    elements = Elements(page)
    assert [tag for tag, _ in elements.found].count("script") == 3
    assert not [tag for tag, _ in elements.found if tag in ("img", "iframe", "object", "link")]
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    rows = json.loads(elements.scripts[0])["rows"]
    assert {row["spec"] for row in rows} >= {f"{name}\ud800" for name in (*HARMFUL, "timm:{{js}}\u2028")}


def test_the_policy_lets_these_scripts_run_and_nothing_else(page: str) -> None:
    elements = Elements(page)
    policies = [a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    rules = dict(rule.strip().split(" ", 1) for rule in str(policies[0]).split(";"))
    assert rules["default-src"] == "'none'"
    allowed = {
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in elements.scripts[1:]
    }
    assert set(rules["script-src"].split()) == allowed
    # A policy only rules over what follows it.
    assert page.index("Content-Security-Policy") < page.index("<title") < page.index("<style") < page.index("<script")


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    elements = Elements(page)
    assert not [a for _, a in elements.found if "src" in a or "srcset" in a]
    assert [a["href"] for _, a in elements.found if "href" in a] == ["leaderboard.csv"]
    assert "sourceMappingURL" not in page
    assert not re.search(r"url\(|@import", page.split("</style>")[1])


def test_equal_boards_give_equal_pages(tmp_path: Path) -> None:
    board = made_board(2, tasks=3)
    first = write_page(board, made_summary(board), tmp_path).read_bytes()
    assert write_page(board, made_summary(board), tmp_path).read_bytes() == first


def test_plots_are_images_inside_the_page(tmp_path: Path) -> None:
    board = made_board(2, tasks=3)
    plot = tmp_path / "group_means.svg"
    plot.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    text = write_page(board, made_summary(board), tmp_path, plots=[plot]).read_text(encoding="utf-8")
    (image,) = [attributes for tag, attributes in Elements(text).found if tag == "img"]
    assert image["alt"] == "group means"
    kind, _, data = str(image["src"]).partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert base64.b64decode(data) == plot.read_bytes()
    assert "img-src data:;" in text
    plain = write_page(board, made_summary(board), tmp_path).read_text(encoding="utf-8")
    assert not [tag for tag, _ in Elements(plain).found if tag == "img"]
