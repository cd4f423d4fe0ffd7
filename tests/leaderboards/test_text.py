"""Whatever a name holds, it does no harm where it is written."""

import csv
import html
import io
import re
import unicodedata
from html.parser import HTMLParser
from xml.etree import ElementTree

import yaml
from hypothesis import given
from hypothesis import strategies as st
from made_boards import HARMFUL
from markdown_it import MarkdownIt

from leaderboards.text import (
    code_block,
    for_csv,
    for_github,
    for_html,
    for_latex,
    for_markdown,
    for_xml,
    for_yaml,
    shortened,
)
from vtab_harness.cli.plain_text import plain

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
PIECES = ["\\", "`", "```", "*", "**", "_", "[x](y)", "![", "<b>", "<!--", "&amp;", "&#60;", "|", "~~", "$", "# ", "- "]
PIECES += [
    "+ ",
    "1. ",
    "123) ",
    "> ",
    "=",
    "---",
    "\n",
    "\r",
    "\t",
    "    ",
    "a",
    "%",
    "{",
    "}",
    "^",
    '"',
    "'",
    "@x",
    "://",
]
PIECES += ["\N{RIGHT-TO-LEFT OVERRIDE}", "\N{FULLWIDTH EQUALS SIGN}", "\N{ROCKET}", "\ud800", "\N{LINE SEPARATOR}"]
PIECES += ["\xa0", "\x00"]
MARKUP = st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
"""Any text, and text that is mostly markup."""


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


class Shown(HTMLParser):
    """What a browser would show: all text, and which elements there are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.elements, self.attributes = "", [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def squeezed(text: str) -> str:
    """As HTML shows white space; the zero that no HTML may hold is none here, `plain` has made it a space."""
    return " ".join(text.split())


@given(MARKUP)
def test_markdown_shows_any_name_as_it_is_wherever_it_stands(name: str) -> None:
    expected = squeezed(plain(name))
    for escaped in (for_markdown(name, 1000), for_github(name)):
        assert "\n" not in escaped
        for page, elements in (
            (f"{escaped}", {"p"}),
            (f"# {escaped}", {"h1"}),
            (f"- **{escaped}**: x", {"ul", "li", "strong"}),
            (f"| a | b |\n|---|---|\n| {escaped} | c |", {"table", "thead", "tbody", "tr", "th", "td"}),
        ):
            shown = Shown(MARKDOWN.render(page))
            if page == escaped:
                assert squeezed(shown.text) == expected
            assert set(shown.elements) - {"hr"} <= elements, page
            if expected and "**" not in page:
                assert expected in squeezed(shown.text)
            assert not shown.attributes


@given(MARKUP)
def test_html_shows_any_name_as_it_is(name: str) -> None:
    shown = Shown(f'<p title="{for_html(name)}">{for_html(name)}</p>')
    assert (shown.text, shown.elements, shown.attributes) == (plain(name), ["p"], [("title", plain(name))])


@given(MARKUP)
def test_latex_sets_any_name_as_it_is(name: str) -> None:
    made = for_latex(name, 1000)
    bare = re.sub(r"\\(?:text[a-z]+|dots)\{\}|\\[{}$&#%_]", "", made)
    assert not set(bare) & set('\\{}$&#%_~^<>|"\n')
    macros = {"dots": "\N{HORIZONTAL ELLIPSIS}", "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^"}
    macros |= {"textless": "<", "textgreater": ">", "textbar": "|", "textquotedbl": '"'}
    read = re.sub(r"\\([a-z]+)\{\}|\\(.)", lambda found: macros[found[1]] if found[1] else found[2], made)
    assert len(read) == len(plain(name).strip())
    assert all(a == b or a == "?" for a, b in zip(read, plain(name).strip(), strict=True))


@given(MARKUP)
def test_a_spreadsheet_reads_any_name_and_computes_none(name: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(["before", for_csv(name), "after"])
    ((before, cell, after),) = csv.reader(io.StringIO(text.getvalue(), newline=""))
    assert (before, after) == ("before", "after")
    assert cell in (plain(name), f"'{plain(name)}")
    # With compatibility forms of letters made plain, as some programs do.
    assert unicodedata.normalize("NFKC", cell.lstrip())[:1] not in ("=", "+", "-", "@")


@given(MARKUP)
def test_a_report_for_jobs_reads_any_name(name: str) -> None:
    element = ElementTree.Element("a", b=for_xml(plain(name)))
    element.text = for_xml(name)
    read = ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8"))
    assert read.get("b", "") == for_xml(plain(name))
    assert (read.text or "") == for_xml(name)


@given(MARKUP)
def test_any_name_reads_back_from_yaml(name: str) -> None:
    line = for_yaml(shortened(name))
    assert "\n" not in line
    assert yaml.safe_load(f"name: {line}\nafter: 1") == {"name": shortened(name), "after": 1}


@given(MARKUP)
def test_no_text_ends_its_block_of_code(text: str) -> None:
    (block,) = MARKDOWN.parse(code_block(text))
    assert (block.type, block.content) == ("fence", f"{plain(text)}\n")


@given(st.text(max_size=60))
def test_any_name_is_harmless(name: str) -> None:
    line = plain(name)
    assert len(line.splitlines()) <= 1 or line.splitlines() == [line]
    line.encode()
    assert len(shortened(name, 20)) <= 20
    assert not set("<>|`*_[]\\@$~!\"'") & set(for_github(name))


def test_no_name_makes_a_link_or_a_mention() -> None:
    for name in (*HARMFUL, "see https://example.org", "www.example.org", "@someone", "x@example.org", "#12"):
        assert html.unescape(for_github(name)) == plain(name).strip()
        assert "://" not in for_github(name)
        assert not re.search(r"(?<!\\)@|(?<!\\)://|www\.", for_markdown(name, 1000))


def test_of_invisible_marks_only_the_joiner_within_emoji_stays() -> None:
    family = "\U0001f469\N{ZERO WIDTH JOINER}\U0001f467"
    assert plain(f"{family}\N{RIGHT-TO-LEFT OVERRIDE}\x1b\n") == f"{family}   "
