import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from describing.describe_world import clean_cohort, with_column, with_values
from nextscan.describing import describe
from nextscan.errors import OutputError
from nextscan.report.description.page import description_page, write_description


class Outline(HTMLParser):
    """Collect section headings, ids, and whatever would be loaded from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.titles, self.ids, self.loaded, self.rows, self._in = [], [], [], 0, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self._in = tag == "h2"
        self.rows += tag == "tr"
        self.ids += [attrs["id"]] if "id" in attrs else []
        links = [attrs.get(key, "") or "" for key in ("src", "href", "xlink:href")]
        self.loaded += [link for link in links if link and not link.startswith(("#", "data:"))]

    def handle_data(self, data):
        if self._in and data.strip():
            self.titles.append(data.strip())
            self._in = False


def told(cohort):
    return json.loads(json.dumps(describe(cohort).to_dict()))


def problems():
    cohort = with_column(clean_cohort(), "copy", clean_cohort().features[:, 0])
    cohort = with_column(cohort, "total", cohort.features[:, 9] + cohort.features[:, 10])

    def plant(values):
        values[3, 2] = -40.0
        values[::7, 4] = np.nan
        values[:, 20] = 1.5

    return with_values(replace(cohort, notes=("column subject was taken as subject",)), plant)


@pytest.fixture(scope="module")
def description():
    return told(problems())


@pytest.fixture(scope="module")
def text(description):
    return description_page(description)


def test_page_holds_every_section_and_loads_nothing(text):
    outline = Outline(text)
    assert outline.titles == [
        "Findings",
        "Subjects and visits",
        "Labels",
        "Missing values",
        "Repeatability",
        "Those without a follow-up",
        "How features hang together",
        "Features",
        "How the table was understood",
    ]
    assert outline.loaded == []
    assert not re.search(r"url\((?!#)", text)
    assert len(outline.ids) == len(set(outline.ids))


def test_page_says_what_the_description_says(description, text):
    for word in (
        "region9_volume + region10_volume",
        "region0_volume = copy",
        "column subject was taken as subject",
    ):
        assert word in text
    assert text.count('class="notice warning"') == sum(f["level"] == "warning" for f in description["findings"])
    assert "140 subjects, 60 of them with a follow-up after" in text
    assert f"{description['facts']['missing']['cells']} cells" in text
    for name in (
        "region5_volume",
        "region14_thickness",
    ):  # in the tables of repeatability, shift and features
        assert text.count(f">{name}<") >= 3


def test_sections_without_matter_are_left_out():
    cohort = clean_cohort(n_paired=0, n_single=30)
    bare = replace(cohort, labels=cohort.labels[[]], visit_labels=cohort.visit_labels[[]])
    outline = Outline(description_page(told(bare)))
    assert outline.titles == ["Findings", "Subjects and visits", "How features hang together", "Features"]


@pytest.mark.parametrize("n_visits", [1, 2, 3])
def test_tiny_cohorts_have_a_page(n_visits):
    cohort = clean_cohort(n_paired=2, n_single=0, n_features=2)
    assert "</html>" in description_page(told(cohort.select_visits(np.arange(4) < n_visits)))


def test_page_escapes_names():
    cohort = replace(with_column(clean_cohort(), "<b>&thickness", np.full(200, 2.0)), name="<script>alert(1)</script>")
    text = description_page(told(cohort))
    assert "<script>alert(1)" not in text
    assert "&lt;b&gt;&amp;thickness" in text


def test_same_description_same_page(description, text):
    assert description_page(description) == text


def test_page_is_written_whole_or_not_at_all(tmp_path):
    description = told(clean_cohort(n_paired=3, n_single=0, n_features=2))
    path = write_description(description, tmp_path / "cohort.html")
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [each.name for each in tmp_path.iterdir()] == ["cohort.html"]
    with pytest.raises(OutputError, match="there is no folder"):
        write_description(description, tmp_path / "nowhere" / "cohort.html")
