"""The other figures draw the numbers they are given."""

import numpy as np
import pandas as pd
import pytest

from nextscan.report.figures.calibration import Coverage, calibration_curve, coverage_by_group
from nextscan.report.figures.change import change_scatter, gap_histogram
from nextscan.report.figures.learning import learning_curves, skipped_share
from nextscan.report.figures.scores import score_intervals
from nextscan.report.figures.style import LOOKS
from nextscan.report.figures.trajectories import Fan, Trajectory, trajectory_fans

A, B = LOOKS[:2]


def test_scores_stand_at_their_values_with_the_first_on_top():
    figure = score_intervals(
        ["best", "other"],
        [1.0, 2.0],
        low=[0.9, np.nan],
        high=[1.2, np.nan],
        looks=[A, B],
        label="score",
        limit=0.5,
        limit_label="best possible",
    )
    (axes,) = figure.axes
    lines = [line.get_xydata().tolist() for line in axes.lines]
    assert [[0.9, 0.0], [1.2, 0.0]] in lines
    assert [[1.0, 0.0]] in lines
    assert [[2.0, 1.0]] in lines
    assert axes.yaxis_inverted()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["best", "other"]
    assert any(line.get_xdata()[0] == 0.5 for line in axes.lines)
    assert "best possible" in {text.get_text() for text in axes.texts}


def test_calibration_is_drawn_in_percent_and_as_departure():
    curve = pd.DataFrame({"level": [0.8, 0.5], "coverage": [0.7, 0.5], "low": [0.65, 0.4], "high": [0.75, 0.6]})
    whole, apart = calibration_curve({"m": curve}, looks={"m": A}).axes
    np.testing.assert_allclose(whole.lines[1].get_xydata(), [[50, 50], [80, 70]])
    np.testing.assert_allclose(apart.lines[1].get_xydata(), [[50, 0], [80, -10]])
    ends = [segment[:, 1].tolist() for segment in apart.collections[0].get_segments()]
    np.testing.assert_allclose(ends, [[-10, 10], [-15, -5]])


def test_only_strong_methods_have_calibration_intervals():
    curve = pd.DataFrame({"level": [0.5], "coverage": [0.5], "low": [0.4], "high": [0.6]})
    _, apart = calibration_curve({"m": curve, "n": curve}, looks={"m": A, "n": B}, strong=["n"]).axes
    assert len(apart.collections) == 1
    assert apart.lines[2].get_linewidth() > apart.lines[1].get_linewidth()


def test_coverage_by_group_marks_the_promised_levels():
    panels = [
        Coverage(level, {"m": [level - 0.1, level]}, {"m": [0.6, 0.7]}, {"m": [0.85, 0.97]}) for level in (0.8, 0.95)
    ]
    figure = coverage_by_group(["sex=F", "sex=M"], panels, looks={"m": A})
    for axes, level in zip(figure.axes, (80, 95), strict=True):
        assert axes.lines[0].get_xdata()[0] == level
        np.testing.assert_allclose(axes.lines[1].get_xydata(), [[level - 10, 0], [level, 1]])
        ends = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
        np.testing.assert_allclose(ends, [[60, 85], [70, 97]])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["sex=F", "sex=M"]


def test_change_panels_hold_every_subject_on_one_scale():
    real = np.array([[0.0, 1.0], [1.0, np.nan], [2.0, 3.0]])
    figure = change_scatter(real, {"m": real / 2, "n": -real}, features=["x", "y"], looks={"m": A, "n": B})
    panels = np.array(figure.axes).reshape(2, 2)
    np.testing.assert_array_equal(panels[0, 0].collections[0].get_offsets(), [[0, 0], [1, 0.5], [2, 1]])
    np.testing.assert_array_equal(panels[1, 0].collections[0].get_offsets(), [[0, 0], [1, -1], [2, -2]])
    for column in panels.T:
        assert {axes.get_xlim() for axes in column} == {axes.get_ylim() for axes in column}
        assert len({axes.get_xlim() for axes in column}) == 1
    assert [axes.get_title(loc="left") for axes in panels[0]] == ["x", "y"]


def test_gaps_are_counted_and_the_median_marked():
    (axes,) = gap_histogram([1.0, 2.0, 2.5, 4.0]).axes
    assert sum(bar.get_height() for bar in axes.patches) == 4
    assert axes.lines[0].get_xdata()[0] == 2.25


def test_skipped_share_is_per_step_of_the_epoch():
    run = pd.DataFrame({"step": [10, 20, 25], "skipped": [5, 0, 1]})
    assert skipped_share(run).tolist() == [0.5, 0.0, 0.2]


def learning_rows(fold, last):
    epoch = np.arange(1, last + 1)
    return pd.DataFrame(
        {"seed": 1, "repeat": 0, "fold": fold, "epoch": epoch, "step": 4 * epoch, "train_loss": 1 / epoch}
    ).assign(validation_score=-1.0 / epoch + fold, skipped=(epoch == 1) * 2)


def test_learning_curves_draw_each_run_and_their_median():
    figure = learning_curves(pd.concat([learning_rows(fold, last) for fold, last in ((0, 4), (1, 4), (2, 2))]), look=A)
    score, loss, skipped = figure.axes
    assert len(score.lines) == 4
    np.testing.assert_allclose(score.lines[-1].get_xydata(), [[1, 0], [2, 0.5], [3, -1 / 3 + 0.5], [4, 0.25]])
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [1, 1 / 2, 1 / 3, 1 / 4])
    np.testing.assert_allclose(skipped.lines[0].get_ydata(), [50, 0, 0, 0])


@pytest.mark.parametrize("timed", [True, False])
def test_a_fan_opens_from_the_last_visit_shown_to_its_quantiles(timed):
    quantiles = np.array([0.1, 0.5, 0.9])
    panel = Trajectory(
        subject="sub-1",
        feature="volume",
        shown_years=np.array([0.0, 1.0]),
        shown=np.array([5.0, 4.0]),
        true_years=3.0,
        true=3.5,
        fan=Fan(quantiles, np.array([3.0]), np.array([[2.0, 3.0, 4.5]])),
        rival=Fan(quantiles, np.array([3.0]), np.array([[1.0, 3.0, 5.0]])),
    )
    (axes,) = trajectory_fans([[panel]], look=A, rival_look=B, timed=timed).axes
    corners = {tuple(point) for point in axes.collections[0].get_paths()[0].vertices}
    assert {(1.0, 4.0), (3.0, 2.0), (3.0, 4.5)} <= corners
    lines = [line.get_xydata().tolist() for line in axes.lines]
    assert [[1.0, 4.0], [3.0, 3.0]] in lines
    assert [[0.0, 5.0], [1.0, 4.0]] in lines
    assert [[3.0, 3.5]] in lines
    rival = [segment for lines in axes.collections[1:] for segment in lines.get_segments()]
    assert all(segment[:, 1].tolist() == [1.0, 5.0] for segment in rival)
