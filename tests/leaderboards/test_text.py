"""Whatever a name holds, it does no harm where it is written."""

import html
import re
import unicodedata
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from made_boards import HARMFUL

from leaderboards.text import for_csv, for_github, for_latex, for_markdown, for_xml, shortened
from vtab_harness.cli.plain_text import plain


@given(st.text())
def test_cells_are_safe_and_keep_the_rest(text: str) -> None:
    made = for_csv(text)
    assert made.lstrip()[:1] not in ("=", "+", "-", "@")
    assert not {unicodedata.category(character) for character in made} & {"Cc", "Cs", "Zl", "Zp"}
    assert "\n" not in made
    assert made.removeprefix("'") == plain(text).removeprefix("'")


@given(st.text(), st.integers(5, 50))
def test_long_names_keep_both_ends(text: str, length: int) -> None:
    line, short = plain(text), shortened(text, length)
    assert len(short) <= length
    if len(line) > length:
        assert line.startswith(short.partition("…")[0])
        assert short != line
    else:
        assert short == line


@given(st.text())
def test_markdown_shows_any_name_as_it_is(name: str) -> None:
    shown = html.unescape(re.sub(r"\\([\\`*_{}\[\]#!|~$^:])", r"\1", for_markdown(name, 1000).replace("\\&", "&")))
    if "&" not in name:
        assert shown == plain(name).strip()
    assert not re.search(r"[<>\n]", for_markdown(name, 1000))


@given(st.text())
def test_latex_never_sees_a_special_character(name: str) -> None:
    bare = re.sub(r"\\(?:text[a-z]+|dots)\{\}|\\[{}$&#%_]", "", for_latex(name, 1000))
    assert not set(bare) & set('\\{}$&#%_~^<>|"\n')


@given(st.text(max_size=60))
def test_any_name_is_harmless(name: str) -> None:
    line = plain(name)
    assert len(line.splitlines()) <= 1 or line.splitlines() == [line]
    line.encode()
    assert len(shortened(name, 20)) <= 20
    escaped = for_github(name)
    assert not set("<>|`*_[]\\@$~!\"'") & set(escaped)
    element = ElementTree.Element("a", b=for_xml(name))
    element.text = for_xml(name)
    ElementTree.fromstring(ElementTree.tostring(element))


def test_text_for_github_renders_back_to_the_name() -> None:
    for name in HARMFUL:
        assert html.unescape(for_github(name)) == plain(name)
    assert "://" not in for_github("see https://example.org")


def test_of_invisible_marks_only_the_joiner_within_emoji_stays() -> None:
    family = "\U0001f469\N{ZERO WIDTH JOINER}\U0001f467"
    assert plain(f"{family}\N{RIGHT-TO-LEFT OVERRIDE}\x1b\n") == f"{family}   "
