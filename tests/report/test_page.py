"""The page frame: what is escaped, what a table says to sorting scripts and screen readers."""

import re

import pytest
from markupsafe import Markup

from nextscan.report.page import (
    Cell,
    Column,
    Definitions,
    Fact,
    Facts,
    Fold,
    Fragment,
    Notice,
    Picture,
    Prose,
    Section,
    Table,
    library_script,
    render_page,
)


def page(*blocks):
    return render_page("Title", [Section("part", "Part", blocks)])


def test_text_is_escaped_and_markup_is_not():
    html = page(Prose(["<script>alert(1)</script>", Markup("<em>told</em>")]), Facts([Fact("a<b", "1 & 2")]))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<em>told</em>" in html
    assert "a&lt;b" in html
    assert "1 &amp; 2" in html


def test_every_text_of_every_block_is_on_the_page():
    html = page(
        Definitions([("term", "meaning")], anchors=["here"]),
        Notice("nothing there", "missing"),
        Picture(Markup("<svg></svg>"), alt="what it shows", caption="what it means"),
        Fold("more of it", [Prose(["inner text"])]),
    )
    for text in ("term", "meaning", "nothing there", "what it means", "more of it", "inner text"):
        assert f">{text}<" in html
    assert 'id="here"' in html
    assert 'aria-label="what it shows"' in html


def test_a_narrow_picture_takes_the_place_of_the_wide_one_on_phones():
    both = page(Picture(Markup("<svg>wide</svg>"), alt="a", caption="c", narrow=Markup("<svg>narrow</svg>")))
    assert '<div class="image desk" role="img" aria-label="a"><svg>wide</svg></div>' in both
    assert '<div class="image phone" role="img" aria-label="a"><svg>narrow</svg></div>' in both
    assert 'class="image phone"' not in page(Picture(Markup("<svg></svg>"), alt="a", caption="c"))


def test_a_table_is_sortable_by_exact_values_with_missing_ones_marked():
    rows = [
        [Cell("ridge"), Cell("0.43", sort=0.4296, detail="0.41 to 0.45", strong=True)],
        [Cell("carry"), Cell("–")],
    ]
    html = page(Table("Scores", [Column("Method", numeric=False), Column("RMSE", direction="↓")], rows))
    assert re.search(
        r'<th scope="col" aria-sort="none" data-type="number" class="number"><button type="button">RMSE', html
    )
    assert '<th scope="row" data-sort="ridge">ridge</th>' in html
    assert '<td class="number" data-sort="0.4296"><strong>0.43</strong><small>0.41 to 0.45</small></td>' in html
    assert '<td class="number" data-sort="">–</td>' in html
    assert "<caption>Scores</caption>" in html


@pytest.mark.parametrize(("n", "tall"), [(3, False), (4, True)])
def test_only_long_tables_scroll_in_their_own_box(n, tall):
    html = page(Table("T", [Column("a")], [[Cell(str(i))] for i in range(n)], shown=3, filterable=True))
    assert ('class="scroll tall"' in html) == tall
    assert "data-filter" in html


def test_a_script_is_included_once_wherever_its_fragments_are():
    fragment = Fragment(Markup('<div id="explorer"></div>'), script="explorer.js")
    marker = "Predicted against real change of one feature"
    assert marker not in page(Prose(["none"]))
    assert page(fragment, Fold("inside", [fragment])).count(marker) == 1


def test_sections_are_in_the_contents():
    html = render_page("T", [Section("one", "First", []), Section("two", "Second", [], lead="Lead.")])
    assert re.findall(r'<li><a href="#(\w+)">(\w+)</a></li>', html) == [("one", "First"), ("two", "Second")]
    assert '<p class="lead">Lead.</p>' in html


def test_a_library_cannot_end_the_script_or_its_licence_comment_early():
    text = str(library_script("niivue.js"))
    licence = text[: text.index("*/\n")]
    assert "Copyright (c) 2021, Niivue" in licence
    assert "@ungap/structured-clone" in licence
    assert "</script" not in text.lower()
    assert "<!--" not in text
