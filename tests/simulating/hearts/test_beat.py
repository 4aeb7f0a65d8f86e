import numpy as np
import pytest

from nextscan.simulating.hearts.beat import Beat, trait
from nextscan.simulating.hearts.physiology import GROUPS
from simulating_hearts import people

FINE = np.linspace(0, 1, 1000, endpoint=False)


@pytest.fixture(scope="module")
def law():
    return people(300)


@pytest.fixture(scope="module")
def beats(law):
    return Beat.of(law.traits, FINE)


def test_a_beat_starts_full_and_is_emptiest_at_end_systole(law, beats):
    assert beats.lv[:, 0] == pytest.approx(beats.edv)
    assert beats.lv.min(axis=1) == pytest.approx(beats.edv * (1 - beats.ef), rel=1e-4)
    assert FINE[beats.lv.argmin(axis=1)] == pytest.approx(trait(law.traits, "es_time"), abs=0.002)
    assert beats.rv.min(axis=1) == pytest.approx(trait(law.traits, "log_rv_esv"), rel=1e-4)


def test_volumes_and_flows_are_continuous_around_the_circle(beats):
    stroke = np.ptp(beats.lv, axis=1, keepdims=True)
    flow = np.diff(np.concatenate([beats.lv, beats.lv[:, :2]], axis=1), axis=1) / stroke * len(FINE)
    assert np.abs(flow).max() < 25  # strokes per cycle
    assert np.abs(np.diff(flow, axis=1)).max() < 2
    again = Beat.of(beats.traits, FINE + 3)
    np.testing.assert_allclose(again.lv, beats.lv)


def test_normal_hearts_eject_fill_rest_and_are_topped_up(law, beats):
    normal = law.group == GROUPS.index("NOR")
    lv, edv, ef = beats.lv[normal], beats.edv[normal], beats.ef[normal]
    out = ((edv[:, None] - lv) / (edv * ef)[:, None]).mean(axis=0)
    rate = np.gradient(out, FINE)
    assert 0.05 < FINE[rate.argmax()] < 0.2
    assert 0.43 < FINE[rate.argmin()] < 0.53
    rest = out[(FINE > 0.65) & (FINE < 0.78)]
    assert np.ptp(rest) < 0.05
    assert 1 - rest.mean() == pytest.approx(0.75, abs=0.04)
    assert rate[(FINE > 0.87) & (FINE < 0.97)].max() < -1
    late = trait(law.traits[law.group == GROUPS.index("DCM")], "es_time").mean()
    assert trait(law.traits[normal], "es_time").mean() == pytest.approx(0.35, abs=0.01)
    assert late > 0.39


def test_the_base_moves_down_and_the_wall_thickens(law, beats):
    normal = law.group == GROUPS.index("NOR")
    assert np.ptp(beats.length[normal], axis=1).mean() == pytest.approx(13, abs=1)
    assert np.ptp(beats.length[law.group == GROUPS.index("DCM")], axis=1).mean() < 7
    wall = trait(law.traits, "log_wall")[:, None]
    inner = np.sqrt(1500 * beats.lv / np.pi / beats.length)
    outer = np.sqrt(1500 * (beats.lv + wall) / np.pi / (beats.length + 1.1 * np.cbrt(wall)))
    middle = 0.866 * (outer - inner)  # of a half ellipsoid at half its height, mm
    assert middle[normal, 0].mean() == pytest.approx(6.3, abs=0.4)
    assert np.ptp(middle[normal], axis=1).mean() == pytest.approx(4.0, abs=0.6)
    assert middle[law.group == GROUPS.index("HCM"), 0].mean() > 9
