"""One self-contained HTML page from a title and sections of blocks: the frame of every report.

A page is data: `Section` values hold blocks (`Prose`, `Facts`, `Table`, `Picture`, `Notice`,
`Definitions`, `Fold`, `Fragment`), and `render_page` turns them into HTML with its style and scripts
inside. Text is escaped unless it is `markupsafe.Markup`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, ClassVar

from nextscan.wording import number

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


@dataclass(frozen=True)
class Prose:
    """Paragraphs of running text."""

    kind: ClassVar[str] = "prose"
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Fact:
    """One number worth seeing at a glance, with what it counts and, perhaps, a remark."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Facts:
    """A row of facts."""

    kind: ClassVar[str] = "facts"
    items: Sequence[Fact]


@dataclass(frozen=True)
class Definitions:
    """Terms and what they mean or hold; `anchors` makes each term a target for links."""

    kind: ClassVar[str] = "definitions"
    items: Sequence[tuple[str, str]]
    anchors: Sequence[str] = ()


@dataclass(frozen=True)
class Column:
    """A table column; `hint` is said when the pointer rests on it, `direction` is an arrow or empty."""

    title: str
    numeric: bool = True
    direction: str = ""
    hint: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Cell:
    """A table cell: what is shown, what it sorts by (None sorts last), and a second, smaller line."""

    text: str
    sort: float | str | None = None
    detail: str = ""
    strong: bool = False


def number_cell(value: float, places: int | None = None) -> Cell:
    """Return a number as a cell that sorts by it; unknown ones sort last."""
    return Cell(number(value, places), float(value) if math.isfinite(value) else None)


@dataclass(frozen=True)
class Table:
    """A sortable table; the first cell of each row names the row.

    `filterable` adds a search field; more than `shown` rows scroll inside the table's own box.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    filterable: bool = False
    shown: int = 30
    name: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure: `image` from `nextscan.report.figures.style` (`to_svg` or `to_png`), and its words.

    `alt` says what a reader who cannot see it needs; `caption` stands below. `wide` lets the picture
    leave the text column; on a phone it scrolls sideways, unless there is a `narrow` image to show instead.
    """

    kind: ClassVar[str] = "picture"
    image: Markup
    alt: str
    caption: str
    wide: bool = True
    narrow: Markup | None = None


@dataclass(frozen=True)
class Notice:
    """Something the reader must know: `tone` is "missing", "warning" or "verdict"."""

    kind: ClassVar[str] = "notice"
    text: str
    tone: str = "warning"


@dataclass(frozen=True)
class Fragment:
    """Ready HTML, with the name of the script among the templates that brings it to life.

    `library` is a file among the assets that the script needs; it and its licence go into the page, once. `style` is a
    file among the templates with what only this fragment needs.
    """

    kind: ClassVar[str] = "fragment"
    html: Markup
    script: str = ""
    library: str = ""
    style: str = ""


@dataclass(frozen=True)
class Fold:
    """Blocks behind a one-line summary, closed at first; print shows them."""

    kind: ClassVar[str] = "fold"
    summary: str
    blocks: Sequence[Block]


Block = Prose | Facts | Definitions | Table | Picture | Notice | Fragment | Fold


@dataclass(frozen=True)
class Section:
    """A part of the page with its own entry in the table of contents."""

    anchor: str
    title: str
    blocks: Sequence[Block]
    lead: str = ""


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("nextscan.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_template(name: str, **values: object) -> Markup:
    """Fill one of the templates of this room; values are escaped."""
    from markupsafe import Markup

    return Markup(_environment().get_template(name).render(**values))


def render_page(
    title: str,
    sections: Sequence[Section],
    *,
    kicker: str = "",
    summary: str = "",
    colophon: Sequence[str] = (),
) -> str:
    """Return a whole HTML document that loads nothing from anywhere.

    Parameters
    ----------
    title : str
        The page's heading and window title.
    sections : sequence of Section
    kicker : str
        A short line above the title: what kind of page this is.
    summary : str
        One or two sentences below the title.
    colophon : sequence of str
        Lines at the foot: when and by what the page was made.
    """
    from markupsafe import Markup

    environment = _environment()
    load = environment.loader
    assert load is not None
    fragments = list(_fragments(block for section in sections for block in section.blocks))
    libraries = dict.fromkeys(fragment.library for fragment in fragments if fragment.library)
    names = ["page.js", *dict.fromkeys(fragment.script for fragment in fragments if fragment.script)]
    styles = ["page.css", *dict.fromkeys(fragment.style for fragment in fragments if fragment.style)]
    return environment.get_template("page.html").render(
        title=title,
        kicker=kicker,
        summary=summary,
        sections=sections,
        colophon=colophon,
        style=Markup("").join(Markup(load.get_source(environment, name)[0]) for name in styles),
        scripts=[
            *(library_script(name) for name in libraries),
            *(Markup(load.get_source(environment, name)[0]) for name in names),
        ],
    )


def library_script(name: str) -> Markup:
    """Return a library among the assets as a script for a page, its licence in a comment before it."""
    from markupsafe import Markup

    assets = resources.files("nextscan.report") / "assets"
    licence = (assets / f"{name.removesuffix('.js')}.LICENSE.txt").read_text(encoding="utf-8")
    code = (assets / name).read_text(encoding="utf-8")
    return Markup("/*\n" + licence + "*/\n" + code)


def _fragments(blocks: Iterator[Block] | Sequence[Block]) -> Iterator[Fragment]:
    for block in blocks:
        if isinstance(block, Fold):
            yield from _fragments(block.blocks)
        elif isinstance(block, Fragment):
            yield block
