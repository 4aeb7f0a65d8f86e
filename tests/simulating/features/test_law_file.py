import numpy as np
import pytest

from nextscan.errors import CohortError, OutputError
from nextscan.simulating import load_law, save_law
from nextscan.simulating.features.law_file import recipe
from nextscan.simulating.features.worlds import make_law


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
