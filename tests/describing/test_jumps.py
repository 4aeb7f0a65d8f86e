import re
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import stdtrit

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort
from nextscan.cohort.findings import Finding
from nextscan.describing import describe

Noise = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]
CODES = ("jump", "swapped-sides")


def volumes(seed: int, shape: tuple[int, int, int], within: float = 0.02, noise: Noise | None = None) -> FloatArray:
    """Return positive features of people, visits, regions: 10 % between people, and noise within."""
    rng = np.random.default_rng(seed)
    person = 0.1 * rng.normal(size=(shape[0], 1, shape[2]))
    error = rng.normal(size=shape) if noise is None else noise(rng, shape)
    mean: FloatArray = np.exp(np.log(rng.uniform(800, 9000, shape[2])) + person + within * error)
    return mean


def cohort_of(values: FloatArray, names: tuple[str, ...] = (), years: FloatArray | None = None) -> Cohort:
    people, visits, regions = values.shape
    return Cohort(
        name="study",
        subjects=np.array([f"p{i:03d}" for i in range(people)]),
        subject_of=np.repeat(np.arange(people), visits),
        visits=np.tile([f"v{k}" for k in range(visits)], people),
        years=np.tile(np.arange(float(visits)), people) if years is None else years.ravel(),
        features=values.reshape(-1, regions),
        feature_names=names or tuple(f"region{i}_volume" for i in range(regions)),
    )


def found(values: FloatArray, *names: str, years: FloatArray | None = None) -> tuple[Finding, ...]:
    description = describe(cohort_of(values, names, years))
    return tuple(finding for finding in description.findings if finding.code in CODES)


def test_a_visit_that_falls_and_comes_back_is_named_with_its_features() -> None:
    values = volumes(0, (45, 3, 4))
    values[7, 1, [0, 2]] *= 0.62
    (finding,) = found(values)
    assert (finding.level, finding.code, finding.subjects) == ("warning", "jump", ("p007",))
    assert sorted(finding.columns) == ["region0_volume", "region2_volume"]
    assert "1 scan does not fit the others of the same person: p007 (visit v1): " in finding.text
    assert re.search("region0_volume −(3|4). %", finding.text)
    assert "against both neighbours" in finding.text
    assert "look at the scan" in finding.cure


@pytest.mark.parametrize(("visit", "named"), [(0, "v0"), (3, "v3")])
def test_the_first_or_the_last_visit_is_wrong(visit: int, named: str) -> None:
    values = volumes(1, (40, 4, 5))
    values[12, visit, 3] *= 1.7
    (finding,) = found(values)
    assert f"p012 (visit {named}): region3_volume +" in finding.text
    assert "both neighbours" not in finding.text


def test_of_two_visits_only() -> None:
    values = volumes(2, (60, 2, 6))
    values[31, 1, 4] *= 0.55
    (finding,) = found(values)
    assert "p031 (visit v1): region4_volume −4" in finding.text


def test_a_structure_that_is_gone_at_one_visit() -> None:
    values = volumes(3, (60, 3, 6))
    values[5, 2, 1] = 0
    findings = describe(cohort_of(values)).findings
    assert any("p005" in f.subjects and f.code in ("jump", "zero-filled") for f in findings if f.level == "warning")
    (finding,) = found(volumes(3, (5, 3, 6)) * np.where(np.arange(90).reshape(5, 3, 6) == 40, 0, 1))
    assert "p002 (visit v0): region4_volume 0.00 instead of" in finding.text


def test_another_unit_at_one_visit() -> None:
    values = volumes(4, (30, 3, 6), within=0.03)
    values[9, 1] /= 1000
    findings = describe(cohort_of(values)).findings
    assert any("p009" in f.subjects and "p009 (visit v1)" in f.text for f in findings if f.level == "warning")


def test_another_persons_scan_is_far_in_most_features() -> None:
    values = volumes(5, (120, 2, 40), within=0.03)
    values[17, 1] = values[80, 0] * 1.004
    (finding,) = found(values)
    assert "p017 (visit v1): far in most features, another person's?" in finding.text


SIDES = tuple(f"{side}-{region}" for region in "ABCDEFGH" for side in ("Left", "Right"))
FREESURFER = tuple(f"{side}_{region}_thickness" for region in "abcdefgh" for side in ("lh", "rh"))


@pytest.mark.parametrize("names", [SIDES, FREESURFER])
def test_exchanged_sides(names: tuple[str, ...]) -> None:
    values = volumes(6, (50, 3, 16), within=0.02)
    values[22, 2] = values[22, 2].reshape(8, 2)[:, ::-1].ravel()
    (finding,) = found(values, *names)
    assert finding.code == "swapped-sides"
    assert finding.text.startswith("left and right are exchanged at p022 (visit v2)")


def test_what_everybody_does_is_no_jump() -> None:
    upgrade = volumes(7, (60, 3, 8))
    upgrade[:, 2] *= 1.25
    some_sites = volumes(8, (60, 3, 8))
    some_sites[::5, 2] *= 1.25
    assert found(upgrade) == found(some_sites) == ()


def test_a_disease_that_progresses_is_no_jump() -> None:
    values = volumes(9, (80, 4, 10))
    values[:8] *= (0.93 ** np.arange(4))[None, :, None]
    assert found(values) == ()


def test_long_gaps_bring_large_changes() -> None:
    rng = np.random.default_rng(10)
    gap = np.where(rng.random(200) < 0.15, rng.uniform(8, 12, 200), rng.uniform(0.5, 1.5, 200))
    values = volumes(10, (200, 2, 5), within=0.005)
    values[:, 1] *= np.exp(-gap[:, None] * rng.normal(0.02, 0.01, (200, 5)))
    assert found(values, years=np.column_stack([np.zeros(200), gap])) == ()


@pytest.mark.parametrize(
    "noise",
    [
        lambda rng, shape: rng.standard_t(3, shape),
        lambda rng, shape: rng.laplace(size=shape),
        lambda rng, shape: rng.normal(size=shape) * np.exp(0.5 * rng.normal(size=(shape[0], 1, 1))),
    ],
    ids=["t3", "laplace", "some people vary more"],
)
@pytest.mark.parametrize("shape", [(400, 3, 60), (60, 2, 4)])
def test_heavy_tails_do_not_raise_alarms_by_the_hundred(noise: Noise, shape: tuple[int, int, int]) -> None:
    who = [name for seed in range(3) for f in found(volumes(seed, shape, noise=noise)) for name in f.subjects]
    assert len(who) <= 1


def test_counts_and_lesions_may_come_and_go() -> None:
    rng = np.random.default_rng(11)
    lesions = np.where(rng.random((90, 3, 6)) < 0.6, 0, rng.gamma(0.5, 900, (90, 3, 6)))
    assert found(lesions) == ()


def test_the_worst_are_named_and_the_others_counted() -> None:
    values = volumes(12, (300, 2, 5))
    for i in range(8):
        values[30 * i, 1, i % 5] *= 0.4 + 0.03 * i
    (finding,) = found(values)
    assert len(finding.subjects) == 8
    assert finding.text.startswith("8 scans do not fit")
    assert finding.text.endswith("and 3 more scans")


def test_heavy_tails_alone_are_rarely_jumps() -> None:
    def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        return rng.standard_t(4, size=shape)

    told = [bool(found(volumes(seed, (60, 2, 150), noise=heavy))) for seed in range(2000, 2020)]
    assert sum(told) <= 1


def test_degrees_of_freedom_of_a_difference_look_more_than_they_are() -> None:
    rng = np.random.default_rng(0)
    size = np.abs(np.diff(rng.standard_t(4, size=(400_000, 2)), axis=1))
    middle, outer = np.quantile(size, (0.5, 0.98))
    ratio = [stdtrit(freedom, 0.99) / stdtrit(freedom, 0.75) for freedom in (5.0, 7.0)]
    assert ratio[1] < outer / middle < ratio[0]


def test_too_few_pairs_say_nothing() -> None:
    values = volumes(13, (4, 2, 3))
    values[0, 1, 0] *= 0.3
    assert found(values) == ()


def still_and_noisy(seed: int, people: int, smooth: int, noisy: int, still: int) -> FloatArray:
    """Return features that change by 1 %, that are drawn anew at each visit, and that are constant per person."""
    rng = np.random.default_rng(seed)
    level = 3800 + 300 * rng.normal(size=(people, 1, smooth))
    parts = [
        level * (1 + 0.01 * rng.normal(size=(people, 2, smooth))),
        1.2 + 0.1 * rng.normal(size=(people, 2, noisy)),
        np.repeat(1500 + 120 * rng.normal(size=(people, 1, still)), 2, axis=1),
    ]
    return np.concatenate(parts, axis=2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("people", "smooth", "noisy", "still"),
    [(30, 1, 1, 2), (30, 1, 1, 3), (60, 5, 1, 0), (300, 30, 10, 60)],
    ids=["half constant", "three of five constant", "one noisy among smooth", "many constant"],
)
def test_what_is_constant_per_person_makes_no_change_a_jump(
    seed: int, people: int, smooth: int, noisy: int, still: int
) -> None:
    assert found(still_and_noisy(seed, people, smooth, noisy, still)) == ()


@pytest.mark.parametrize("noise", [1e-5, 1e-3])
def test_what_is_nearly_constant_per_person_makes_no_change_a_jump(noise: float) -> None:
    values = still_and_noisy(0, 30, 1, 1, 3)
    values[:, :, 2:] *= 1 + noise * np.random.default_rng(1).normal(size=(30, 2, 3))
    assert found(values) == ()


def test_what_changes_in_half_of_the_people_makes_no_change_a_jump() -> None:
    for seed in range(3):
        values = still_and_noisy(seed, 60, 1, 1, 2)
        moves = np.random.default_rng(seed + 50).normal(size=(60, 2)) * (np.arange(60) % 20 < 11)[:, None]
        values[:, 1, 2:] *= 1 + 0.03 * moves
        assert found(values) == ()


@pytest.mark.parametrize("feature", [0, 2])
def test_a_jump_beside_or_of_what_is_constant_per_person(feature: int) -> None:
    values = still_and_noisy(0, 30, 1, 1, 2)
    values[11, 1, feature] *= 0.6
    (finding,) = found(values)
    assert (finding.subjects, finding.columns) == (("p011",), (f"region{feature}_volume",))
