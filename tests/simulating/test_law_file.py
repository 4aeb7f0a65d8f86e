import numpy as np
import pytest

from nextscan.errors import CohortError, OutputError
from nextscan.simulating import (
    load_brain_law,
    load_heart_law,
    load_law,
    save_brain_law,
    save_heart_law,
    save_law,
)
from nextscan.simulating.brains.people import draw_people
from nextscan.simulating.features.worlds import make_law
from nextscan.simulating.law_file import recipe
from simulating_hearts import people as hearts


@pytest.fixture(scope="module")
def people():
    return draw_people(20, (32, 40, 32), seed=4)


def same(one, other):
    parts = zip(one.state().values(), other.state().values(), strict=True)
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in parts)


@pytest.mark.parametrize("world", ["linear", "hard"])
def test_a_law_comes_back_from_its_file_and_from_its_recipe(tmp_path, world):
    law = make_law(world, n_features=12, seed=5)
    save_law(tmp_path / "cohort.law.npz", law)
    assert same(load_law(tmp_path / "cohort.law.npz"), law)
    assert same(load_law(recipe(law)), law)
    assert not same(make_law(world, n_features=12, seed=6), law)


def test_damaged_laws_are_named(tmp_path):
    path = tmp_path / "cohort.law.npz"
    with pytest.raises(CohortError, match=r"cohort\.law\.npz: there is no law"):
        load_law(path)
    save_law(path, make_law("linear", n_features=5, seed=0))
    whole = path.read_bytes()
    for damaged in (b"", whole[:700], b"subject,visit\n", whole[:-200]):
        path.write_bytes(damaged)
        with pytest.raises(CohortError, match=r"cohort\.law\.npz: is damaged, or not the law"):
            load_law(path)
    with pytest.raises(CohortError, match="is not the recipe of a law"):
        load_law("simulated:world=linear")
    with pytest.raises(OutputError):
        save_law(tmp_path / "nowhere" / "x.npz", make_law("linear", n_features=5, seed=0))


def test_a_law_of_another_format_is_refused(tmp_path):
    path = tmp_path / "cohort.law.npz"
    np.savez(path, document=np.array('{"format": 99}'))
    with pytest.raises(CohortError, match="another version"):
        load_law(path)


def test_a_law_of_brains_comes_back_from_its_file(people, tmp_path):
    save_brain_law(tmp_path / "a.npz", people)
    read = load_brain_law(tmp_path / "a.npz")
    for name, value in people.state().items():
        assert np.array_equal(read.state()[name], value), name
    law, again = (each.predict("sub-003", ["ses-01", "ses-02"], 1.5) for each in (people, read))
    assert np.array_equal(law.mean, again.mean)


def test_damaged_laws_of_brains_are_named(people, tmp_path):
    with pytest.raises(CohortError, match=r"none\.npz: there is no law"):
        load_brain_law(tmp_path / "none.npz")
    save_law(tmp_path / "table.npz", make_law("linear", n_features=3, seed=0))
    with pytest.raises(CohortError, match="is the law of a table"):
        load_brain_law(tmp_path / "table.npz")
    save_brain_law(tmp_path / "cut.npz", people)
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CohortError, match=r"cut\.npz: is damaged"):
        load_brain_law(tmp_path / "cut.npz")


def test_a_law_of_hearts_comes_back_from_its_file(people, tmp_path):
    law = hearts(4)
    save_heart_law(tmp_path / "a.npz", law)
    read = load_heart_law(tmp_path / "a.npz")
    for name, value in law.state().items():
        assert np.array_equal(read.state()[name], value), name
    one, again = (each.predict("sub-003", [0.0, 0.25], [0.5]) for each in (law, read))
    assert np.array_equal(one.people, again.people)
    save_brain_law(tmp_path / "heads.npz", people)
    with pytest.raises(CohortError, match="is the law of brains, not of simulated hearts; give a folder of hearts"):
        load_heart_law(tmp_path / "heads.npz")
    with pytest.raises(CohortError, match=r"none\.npz: there is no law of simulated hearts"):
        load_heart_law(tmp_path / "none.npz")
