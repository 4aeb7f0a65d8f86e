"""What is packed into the page is what the browser unpacks."""

import base64
import json
import re

import numpy as np
import pytest

from nextscan.report import explorer
from nextscan.report.run_folder import read_run


def unpacked(html):
    head = json.loads(re.search(r"data-head>(.*?)</script>", html, re.DOTALL)[1])
    codes = np.frombuffer(base64.b64decode(re.search(r"data-codes>(.*?)</script>", html, re.DOTALL)[1]), "<i2")
    codes = codes.reshape(len(head["features"]), len(head["methods"]) + 1, head["subjects"])
    low, high = (np.array(head[end])[:, None, None] for end in ("low", "high"))
    return head, np.where(codes == -32768, np.nan, low + (codes + 32767.0) / 65534 * (high - low))


def test_the_page_holds_real_and_predicted_change_of_every_subject(run_folder):
    run = read_run(run_folder)
    head, values = unpacked(explorer.explorer(run, run.predictions).html)
    real = run.predictions.real_change.T
    span = (values.max(axis=(1, 2)) - values.min(axis=(1, 2)))[:, None]
    assert np.abs(values[:, 0] - real).max() <= (span / 65534).max()
    position = [method["title"] for method in head["methods"]].index("Per-feature regression")
    mean = run.predictions.of("mean", "feature-regression") - run.predictions.context
    assert (np.abs(values[:, position + 1] - mean.T) <= span / 65534 + 1e-5).all()
    assert head["features"] == list(run.predictions.feature_names)


def test_scores_are_those_of_the_feature(run_folder):
    run = read_run(run_folder)
    head, _ = unpacked(explorer.explorer(run, run.predictions).html)
    score = next(score for score in head["scores"] if score["title"] == "CRPS")
    rows = run.feature_scores.set_index(["method", "metric", "feature"])["value"]
    expected = [rows["ridge", "crps", name] for name in head["features"]]
    ridge = [method["title"] for method in head["methods"]].index("Ridge")
    np.testing.assert_allclose(score["values"][ridge], expected, rtol=1e-6)
    change = next(score for score in head["scores"] if score["title"] == "Change correlation")
    carried = [method["title"] for method in head["methods"]].index("Carry forward")
    assert change["values"][carried] == [None] * 12


def test_missing_and_constant_values_survive():
    series = np.array([[[np.nan, 2.0], [1.0, 2.0]]], np.float32)
    packed = explorer.pack(series)
    assert packed.codes.tolist() == [[[explorer.MISSING, -32767]], [[-32767, -32767]]]
    assert packed.low.tolist() == [1.0, 2.0]


def test_many_subjects_are_thinned_to_the_budget(run_folder, monkeypatch):
    run = read_run(run_folder)
    monkeypatch.setattr(explorer, "BUDGET", 2 * 12 * 8 * 60)
    html = explorer.explorer(run, run.predictions).html
    head, values = unpacked(html)
    assert head["subjects"] == 60
    assert values.shape == (12, 8, 60)
    assert "60 of 120 subjects" in html


@pytest.mark.parametrize("name", ["</script><b>", "a&b", "\u2028"])
def test_feature_names_cannot_leave_their_place(run_folder, name):
    run = read_run(run_folder)
    found = run.predictions
    renamed = type(found)(**{**_fields(found), "feature_names": (name, *found.feature_names[1:])})
    html = explorer.explorer(run, renamed).html
    assert json.loads(re.search(r"data-head>(.*?)</script>", html, re.DOTALL)[1])["features"][0] == name
    assert "<b>" not in html


def _fields(value):
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
