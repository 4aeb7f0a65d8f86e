"""Why and whether: what the section says of runs whose answer is known."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from nextscan.report import write_report
from nextscan.report.comparison import leaders
from nextscan.report.metric_catalogue import metric
from nextscan.report.page import Prose, Table
from nextscan.report.run_folder import read_run
from nextscan.report.sections.whether import whether
from nextscan.report.sections.why import why

NAMES = [f"f{i}" for i in range(40)]


def rows(measure: str, value, *, method: str = "", against: str = "", q=np.nan) -> pd.DataFrame:
    value = np.broadcast_to(np.asarray(value, float), len(NAMES))
    told = {"metric": measure, "feature": NAMES, "method": method, "against": against, "value": value}
    return pd.DataFrame({**told, "low": value - 0.01, "high": value + 0.01, "p": q, "q": q, "n": 100})


def known(folder, *, better: int = 12, worse: int = 0, anchored: bool = False):
    """Put a table into the run: ceiling 0.90 down to 0.51, 0.1 left, some features beyond reliability."""
    ceiling = np.linspace(0.9, 0.51, 40)
    gain = np.where(np.arange(40) < better, 0.2, np.where(np.arange(40) >= 40 - worse, -0.1, 0.001))
    q = np.where(np.abs(gain) > 0.01, 0.001, 0.7)
    method = "anchored" if anchored else "secondgram"
    parts = [
        rows("reliability_ceiling", ceiling),
        rows("r2", ceiling - 0.2, method="mixed-factor"),
        rows("r2", ceiling - 0.2, method="feature-regression"),
        rows("r2_left", np.where(np.arange(40) == 7, 0.35, 0.2), method="mixed-factor"),
        rows("r2_left", np.where(np.arange(40) == 7, 0.35, 0.2), method="feature-regression"),
        rows("squared_error_gain", gain, method=method, against="reliability", q=q),
        rows("crps_gain", gain / 2, method=method, against="reliability", q=q),
        rows("r2_gain", gain / 10, method=method, against="mixed-factor", q=q),
    ]
    pd.concat(parts).to_csv(folder / "feature_differences.csv", index=False)
    return read_run(folder)


def said(section) -> str:
    return " ".join(str(line) for block in section.blocks if isinstance(block, Prose) for line in block.paragraphs)


def table(section, name: str) -> Table:
    (found,) = (block for block in section.blocks if isinstance(block, Table) and block.name == name)
    return found


def test_ceiling_and_explained_share_are_told(new_run):
    section = why(known(new_run(methods=("secondgram", "mixed-factor", "feature-regression", "carry-forward"))))
    text = said(section)
    assert "leaves about 70% of the variance of a follow-up to be predicted (median over 40 features" in text
    assert "half of them between 61% and 80%" in text
    assert "Mixed-factor model explains 50%." in text
    assert "which one noisy visit does not tell" in text
    assert "SECONDGRAM adds +0.6% of the variance to what mixed-factor model explains" in text  # 12 of 40 by 2 %
    assert "of 40 features 12 better and 0 worse beyond chance" in text
    left = table(section, "left")
    assert left.rows[0][0].text == "f7"
    assert len(left.rows) == 16
    assert [column.title for column in left.columns][1:4] == ["Ceiling", "Mixed-factor model", "Left to predict"]
    assert (left.rows[0][3].text, left.rows[0][3].detail) == ("35.0%", "34.0 to 36.0")


@pytest.mark.parametrize(
    ("better", "worse", "expected"),
    [
        (
            12,
            0,
            "Of 40 features, the change of 12 is predicted better by SECONDGRAM than reliability alone would; for the "
            "others, treat predicted change as shrinkage.",
        ),
        (3, 2, "the change of 3 is predicted better by .* for the others \\(2 of them are predicted worse\\), treat"),
        (0, 5, "the change of none is predicted better by .* would, and that of 5 worse: treat predicted change as"),
        (40, 0, "The change of all 40 features is predicted better by SECONDGRAM"),
    ],
)
def test_the_one_sentence_counts_features_beyond_chance(new_run, better, worse, expected):
    run = known(new_run(methods=("secondgram", "feature-regression", "reliability")), better=better, worse=worse)
    section = why(run)
    assert re.search(expected, said(section))
    row = {cell[0].text: cell for cell in table(section, "beyond").rows}["SECONDGRAM"]
    assert [cell.text for cell in row[2:4]] == [str(better), str(worse)]
    assert [cell.text for cell in row[5:7]] == [str(better), str(worse)]


def test_best_possible_counts_as_the_limit_where_it_is_known(run_folder):
    run = read_run(run_folder)
    section = why(run)
    assert "The oracle, the most that can be known from the visits shown" in said(section)
    left = table(section, "left")
    place = [column.title for column in left.columns].index("Left to the best possible")
    of_oracle, of_anchor = (run.of_features("r2", m)["value"] for m in ("oracle", "feature-regression"))
    shown = {row[0].text: row[place].sort for row in left.rows}
    for name, value in shown.items():
        assert value == pytest.approx(100 * (of_oracle - of_anchor)[name])
    assert list(shown.values()) == sorted(shown.values(), reverse=True)


def with_scores(folder, **energy):
    """Set energy scores of subjects: a shared difficulty plus each method's own mean and small noise."""
    path = folder / "subject_scores.parquet"
    frame = pd.read_parquet(path)
    generator = np.random.default_rng(0)
    shared = generator.gamma(20, 0.5, 40)
    for method, mean in energy.items():
        here = (frame["method"] == method.replace("_", "-")) & (frame["metric"] == "energy_score")
        frame.loc[here, "value"] = shared + mean + 0.05 * generator.normal(size=40)
    frame.to_parquet(path)
    return read_run(folder)


@pytest.mark.parametrize(
    ("energy", "expected"),
    [
        (
            {"secondgram": -1.0, "feature_regression": 0.0, "carry_forward": 1.0},
            "Use it: its lead over all of these is beyond chance.",
        ),
        (
            {"secondgram": 0.0, "feature_regression": 0.0, "carry_forward": 1.0},
            "It may be used, but per-feature regression, which is simpler, does as well.",
        ),
        (
            {"secondgram": 0.5, "feature_regression": 0.0, "carry_forward": 1.0},
            "Use per-feature regression instead: it predicts better and is simpler.",
        ),
        (
            {"secondgram": 0.0, "feature_regression": 1.0, "carry_forward": 0.0},
            "Do not use it: carrying the last scan forward does as well.",
        ),
    ],
)
def test_the_advice_follows_from_paired_differences(new_run, energy, expected):
    run = with_scores(new_run(methods=("secondgram", "feature-regression", "carry-forward")), **energy)
    (paragraph,) = whether(run)
    assert paragraph.endswith(f"<strong>{expected}</strong>")
    assert "paired 95% intervals over 40 subjects" in paragraph


def test_what_was_kept_of_the_anchored_method_is_told(new_run):
    folder = new_run(methods=("anchored", "mixed-factor", "feature-regression", "carry-forward"))
    record = json.loads((folder / "run.json").read_text())
    mine = [job for job in record["jobs"] if job["method"] == "anchored"]
    assert "Added to the anchor" not in whether(read_run(folder))[0]
    for i, job in enumerate(mine):
        job["record"] |= {
            "kept": ["spread", "diffusion"] if i < 2 else ["spread"],
            "weights": {"mixed-factor": 0.75, "ridge": 0.25},
            "gain": {"diffusion": {"gain": 0.02 if i < 2 else -0.03, "se": 0.01}},
        }
    (folder / "run.json").write_text(json.dumps(record))
    text = " ".join(whether(read_run(folder)))
    assert "Its closed-form anchor is mixed-factor model 75% and ridge 25%." in text
    assert "held-out subjects proved a gain: spread in 5 of 5 fits and diffusion in 2 of 5 fits." in text
    assert "Mean held-out gain in energy score: diffusion −0.010 (standard error of one fit 0.010)." in text
    for job in mine:
        job["record"] |= {"kept": [], "gain": None, "weights": None}
    (folder / "run.json").write_text(json.dumps(record))
    assert "The diffusion was kept in no fit: the anchor stood." in whether(read_run(folder))[0]


def test_the_anchored_method_is_held_against_its_anchor(new_run):
    methods = ("anchored", "secondgram", "mixed-factor", "reliability", "carry-forward")
    text = said(why(known(new_run(methods=methods), anchored=True)))
    assert "Anchored SECONDGRAM adds +0.6% of the variance to what mixed-factor model explains" in text
    assert "the change of 12 is predicted better by anchored" in text


def test_a_run_of_before_is_shown_without_it(new_run):
    folder = new_run(methods=("secondgram", "feature-regression", "carry-forward"))
    for name in ("feature_differences.csv", "differences.csv"):
        (folder / name).unlink()
    page = write_report(folder).read_text(encoding="utf-8")
    assert 'id="why"' not in page
    assert 'id="verdict"' in page


def test_it_works_with_many_features_and_without_reliability(wide_run_folder):
    section = why(read_run(wide_run_folder))
    assert len(table(section, "left").rows) == 16
    assert "shrinkage" not in said(section)


def test_ties_come_from_paired_bootstrap_intervals(new_run):
    folder = new_run(methods=("secondgram", "ridge", "carry-forward", "oracle"))
    told = {"metric": "energy_score", "role": "best", "against": "ridge", "n": 40}
    ends = {"secondgram": (-0.1, 0.4), "ridge": (0.0, 0.0), "carry-forward": (0.01, 0.4), "oracle": (-0.3, 0.0)}
    frame = [{**told, "method": m, "difference": sum(e) / 2, "low": e[0], "high": e[1]} for m, e in ends.items()]
    pd.DataFrame(frame).to_csv(folder / "differences.csv", index=False)
    run = read_run(folder)
    assert leaders(run, metric("energy_score")) == {"secondgram", "ridge"}
