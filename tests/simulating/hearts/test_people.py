import numpy as np
import pytest

from nextscan.simulating.hearts.beat import Beat, trait
from nextscan.simulating.hearts.physiology import CUT, GROUPS
from simulating_hearts import people

# end-diastolic and end-systolic volume (mL) and ejection fraction (%) of 30 patients per group of ACDC: mean, spread
ACDC = {
    "NOR": ((129.5, 28.7), (49.0, 14.5), (62.5, 5.9)),
    "DCM": ((283.1, 51.6), (228.6, 53.0), (19.7, 8.3)),
    "HCM": ((131.9, 34.3), (39.6, 16.7), (69.9, 9.3)),
    "MINF": ((180.7, 45.7), (125.6, 39.4), (30.9, 8.1)),
    "RV": ((114.7, 37.2), (49.9, 20.2), (56.9, 7.3)),
}


@pytest.fixture(scope="module")
def law():
    return people(2000)


def volumes(law):
    edv, ef = np.exp(law.traits[:, 0]), trait(law.traits, "ef")
    return edv, edv * (1 - ef), 100 * ef


@pytest.mark.parametrize("group", GROUPS)
def test_groups_have_their_volumes(law, group):
    of = law.group == GROUPS.index(group)
    for values, (mean, spread) in zip(volumes(law), ACDC[group], strict=True):
        found, n = values[of], of.sum()
        assert found.mean() == pytest.approx(mean, abs=3.5 * spread / np.sqrt(n))
        tail = np.mean(((found - found.mean()) / found.std()) ** 4)
        error = spread * np.sqrt((tail - 1) / 4) * np.sqrt(1 / n + 1 / 30)  # of both samples
        assert found.std(ddof=1) == pytest.approx(spread, abs=2.5 * error)


def test_volumes_go_together_as_in_patients(law):
    edv, esv, ef = volumes(law)
    assert np.corrcoef(edv, esv)[0, 1] == pytest.approx(0.94, abs=0.02)
    assert np.corrcoef(np.log(edv), ef)[0, 1] == pytest.approx(-0.68, abs=0.05)
    assert law.body_surface.mean() == pytest.approx(1.9, abs=0.03)
    assert law.body_surface.std() == pytest.approx(0.2, abs=0.02)
    for group, size, spread in (("NOR", 69, 14), ("DCM", 150, 28), ("MINF", 96, 24)):
        of = law.group == GROUPS.index(group)
        indexed = edv[of] / law.body_surface[of]
        assert indexed.mean() == pytest.approx(size, abs=3)
        assert indexed.std() == pytest.approx(spread, abs=4)


def test_right_chambers_and_walls_are_those_of_the_groups(law):
    beat = Beat.of(law.traits, 0.0)
    rv, esv = beat.rv[:, 0], trait(law.traits, "log_rv_esv")
    ef = 100 * (1 - esv / rv)
    of = {name: law.group == k for k, name in enumerate(GROUPS)}
    assert ef[of["RV"]].mean() < 40 < 50 < ef[of["NOR"]].mean() < 60
    assert (rv / law.body_surface)[of["RV"]].mean() > 105
    assert 140 < rv[of["NOR"]].mean() < 170
    stroke = rv - esv
    assert np.corrcoef(stroke, beat.edv * beat.ef)[0, 1] > 0.9  # what one chamber pumps, the other does
    loss = trait(law.traits, "loss")
    assert loss[of["MINF"]].mean() > 0.5
    assert loss[~of["MINF"]].max() < 0.2


def test_a_person_does_not_depend_on_how_many_others_there_are():
    few, many = people(7), people(30, n_frames=5)
    for name in ("traits", "form", "group", "height", "weight", "heart_rate", "male"):
        assert np.array_equal(getattr(few, name), getattr(many, name)[:7]), name
    assert not np.array_equal(few.traits, people(7, seed=5).traits)


def test_small_cohorts_have_all_groups_as_their_shares_are():
    assert np.bincount(people(25).group).tolist() == pytest.approx([5] * 5, abs=1)
    chosen = people(40, NOR=3, DCM=1).group
    assert np.bincount(chosen, minlength=5).tolist() == pytest.approx([30, 10, 0, 0, 0], abs=1)


def test_traits_are_normal_around_what_body_and_group_say(law):
    expected = law.physiology.mean[law.group] + law.covariates @ law.physiology.effect
    z = np.einsum("nij,nj->ni", law.physiology.inverse[law.group], law.traits - expected)
    assert np.abs(z).max() <= CUT + 1e-9
    assert np.abs(np.cov(z.T) - 0.911 * np.eye(z.shape[1])).max() < 5 * np.sqrt(2 / len(z))  # cut numbers
    weights = np.log(law.physiology.shares)
    inside = law.physiology.log_density(law.traits[:3], law.covariates[0], weights)
    nearer = law.physiology.log_density(law.physiology.mean, law.covariates[0] * 0, weights)
    assert (inside < nearer.max()).all()
    assert np.isneginf(law.physiology.log_density(law.traits[:1] + 10, law.covariates[0], weights)).all()
