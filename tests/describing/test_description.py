from dataclasses import replace

import numpy as np

from describing.describe_world import clean_cohort, with_column, with_values
from nextscan.describing import describe
from nextscan.describing.description import Finding


def test_text_of_a_clean_cohort():
    text = str(describe(clean_cohort()))
    assert text.startswith("clean\n\n  Subjects   140, 60 with a follow-up\n")
    assert "No warnings." in text
    assert "no cell missing" in text


def test_text_tells_warnings_first():
    cohort = with_column(clean_cohort(), "copy", clean_cohort().features[:, 0])
    text = str(describe(with_values(cohort, lambda values: values.__setitem__((5, 2), -40.0))))
    assert text.index("\n2 warnings\n") < text.index("remark")
    assert "  ! 1 group of identical features: region0_volume = copy" in text


def test_text_fits_a_terminal_whatever_is_found():
    notes = tuple(f"column {i} was taken for a feature " + "because of its values " * 9 for i in range(60))
    description = describe(replace(clean_cohort(), notes=notes, source="a/very/long/path.csv"))
    many = replace(
        description,
        findings=tuple(Finding("warning", f"code-{i}", "something was found here " * 12) for i in range(40)),
    )
    lines = str(many).splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 100
    assert "40 warnings" in lines
    shown = sum(line.startswith("  ! ") for line in lines)
    assert f"  … and {40 - shown} more, in `findings` and on the page" in lines


def test_unknown_gaps_are_said():
    cohort = clean_cohort()
    years = np.where(np.arange(200) % 2, np.nan, 0.0)
    assert "Gap        unknown for every pair of visits" in str(describe(replace(cohort, years=years)))


def test_labels_are_told_in_short():
    cohort = clean_cohort()
    labels = cohort.labels.assign(stroke=np.arange(140) < 7, score=np.r_[np.nan, np.linspace(-1, 3, 139)])
    text = str(describe(replace(cohort, labels=labels.astype({"stroke": float}))))
    line = text[text.index("  Labels") : text.index("  Repeat")]
    told = " ".join(line.split())
    assert told.index("age (per visit)") < told.index("sex:")
    assert "; stroke 5.0 %;" in told
    assert "score 1 ± 1.2 (−1 to 3), 1 missing" in told
