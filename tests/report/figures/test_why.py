"""The figures of single features draw the numbers they are given."""

import numpy as np
import pandas as pd

from nextscan.report.figures.style import LOOKS
from nextscan.report.figures.why import explained_variance, gain_per_feature

NAMES = ["a", "b", "a-very-long-name-of-a-feature"]


def table(value, half=0.1, **more) -> pd.DataFrame:
    value = np.asarray(value, float)
    return pd.DataFrame({"value": value, "low": value - half, "high": value + half, **more}, index=NAMES)


def test_ceiling_marks_and_what_is_added_stand_at_their_values():
    figure = explained_variance(
        NAMES,
        table([0.9, 0.8, 0.7]),
        {"m": table([0.6, 0.5, np.nan])},
        looks={"m": LOOKS[0]},
        added=table([0.01, -0.02, 0.0]),
        added_label="added",
    )
    top, below = figure.axes
    np.testing.assert_allclose(top.lines[0].get_xydata(), [[0, 90], [1, 80], [2, 70]])
    np.testing.assert_allclose(top.lines[1].get_ydata(), [60, 50, np.nan])
    np.testing.assert_allclose(below.lines[1].get_ydata(), [1, -2, 0])
    ends = [segment[:, 1].tolist() for segment in below.collections[0].get_segments()]
    np.testing.assert_allclose(ends, [[-9, 11], [-12, 8], [-10, 10]])
    names = [label.get_text() for label in below.get_xticklabels()]
    assert names[:2] == ["a", "b"]
    assert len(names[2]) == 24
    assert "ceiling set by noise" in {text.get_text() for text in figure.legends[0].texts}


def test_only_gains_with_small_q_are_beyond_chance():
    figure = gain_per_feature(NAMES, table([0.3, 0.25, -0.2], q=[0.01, 0.2, 0.04]), label="gain")
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines[1:]}
    assert drawn == {
        "no clear difference: 1": [[1, 25]],
        "better beyond chance: 1": [[0, 30]],
        "worse beyond chance: 1": [[2, -20]],
    }


def test_many_features_are_drawn_without_names():
    n = 300
    many = pd.DataFrame({"value": 0.1, "low": 0.0, "high": 0.2, "q": 0.5}, index=range(n))
    (axes,) = gain_per_feature([str(i) for i in range(n)], many, label="gain").axes
    assert axes.get_xlabel() == "300 features, in order"
    assert len(axes.collections[0].get_segments()) == n
