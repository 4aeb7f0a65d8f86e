"""SADM: better than copying where films move alike, whole films from one draw, any images given."""

from dataclasses import replace

import numpy as np
import pytest

import nextscan
from film_samples import beats, film_cohort, still
from nextscan.cohort import Cohort, hide, shown_visits
from nextscan.errors import SettingError, TooFewPairsError
from nextscan.images.files import read_image
from nextscan.imputers import make_imputer
from nextscan.imputers.contract.check import check_imputer
from nextscan.imputers.sequences.sadm.imputer import SADM

TINY = {
    **{"epochs": 2, "examples_per_epoch": 8, "channels": (8, 16), "unet_attention": (False, False)},
    **{"width": 24, "n_networks": 2, "sampling_steps": 2, "mean_channels": (4, 8)},
}


@pytest.fixture(scope="module")
def hearts(tmp_path_factory) -> Cohort:
    return beats(tmp_path_factory.mktemp("hearts"), 14, n_frames=6, noise=5.0, bend=120.0)


@pytest.fixture(scope="module")
def model(hearts) -> SADM:
    train = hearts.select_subjects(range(10))
    return SADM(**TINY | {"epochs": 20, "learning_rate": 1e-2, "examples_per_epoch": 24}).fit(train, seed=1)


def truth(task) -> np.ndarray:
    return np.array([read_image(path).data for path in task.truth_files["volume"]])


@pytest.mark.minutes
@pytest.mark.parametrize("rule", ["first", "first:3", "ses-01,ses-04"])
def test_what_films_share_is_learned(hearts, model, rule):
    task = hide(hearts.select_subjects(range(10, 14)), shown_visits(hearts.select_subjects(range(10, 14)), rule))
    real = truth(task)
    errors = {}
    for name, imputer in (
        ("sadm", model),
        ("copy", make_imputer("copy-nearest").fit(hearts.select_subjects(range(10)))),
    ):
        images = np.array([volume.mean for volume in imputer.impute(task.shown, draws=2, seed=0)])
        errors[name] = np.sqrt(np.mean((images - real) ** 2))
    assert errors["sadm"] < 0.8 * errors["copy"]


@pytest.mark.minutes
def test_images_of_a_film_come_from_one_draw(hearts, model):
    task = hide(hearts.select_subjects([10]), shown_visits(hearts.select_subjects([10]), "first"))
    plain = model.clone()
    vars(plain).update(vars(model))
    plain.model_ = replace(model.model_, denoiser={})  # no noise of its own in each image
    result = plain.impute(task.shown, draws=12, seed=3)
    departures = np.concatenate([(volume.draws - volume.mean).reshape(12, -1) for volume in result])
    sizes = np.linalg.svd(departures, compute_uv=False)
    assert sizes[1] > 0
    assert sizes[2] < 0.1 * sizes[0]  # all images and draws along the same two ways, but for what is clipped
    again = plain.impute(task.shown, draws=12, seed=3)[2]
    np.testing.assert_array_equal(again.draws, result[2].draws)  # whichever is asked for first


@pytest.mark.minutes
def test_any_time_can_be_asked_for(hearts, model):
    one = hearts.select_subjects([10]).select_visits(np.array([True] + [False] * 5))
    volumes = list(model.impute(one, draws=2, seed=0, at_years=[0.25, 1 / 3, 0.4]))
    first, second, third = (volume.mean - read_image(volumes[0].source).data for volume in volumes)
    between = np.abs(second - (first + third) / 2).mean()
    assert between < 0.5 * np.abs(second).mean()


@pytest.mark.minutes
@pytest.mark.parametrize(
    "changes",
    [
        {"diffusion": False},
        {"attention": False},
        {"time": False},
        {"autoregressive": True},
        {"guidance": 0.2},
        {"use_labels": True},
        {"preset": "paper", "given": None, "sampling_steps": 3, "autoregressive": False},
        {"preset": "paper", "given": None, "sampling_steps": 3},
    ],
    ids=str,
)
def test_every_switch_leads_to_finite_draws_that_repeat(hearts, changes):
    train, test = hearts.select_subjects(range(6)), hearts.select_subjects([6, 7])
    imputer = make_imputer("sadm", **TINY | changes).fit(train, seed=1)
    shown = hide(test, shown_visits(test, "first:2")).shown
    first, again = (list(imputer.impute(shown, draws=3, seed=2)) for _ in range(2))
    assert all(np.isfinite(volume.draws).all() for volume in first)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.draws, other.draws)


@pytest.mark.minutes
def test_saved_models_draw_the_same(hearts, model, tmp_path):
    model.save(tmp_path / "model")
    shown = hide(hearts.select_subjects([11])).shown
    loaded = nextscan.load(tmp_path / "model")
    np.testing.assert_array_equal(
        loaded.impute(shown, draws=2, seed=1)[0].draws, model.impute(shown, draws=2, seed=1)[0].draws
    )


@pytest.mark.minutes
def test_the_contract_where_time_is_a_circle(tmp_path):
    check_imputer(lambda: SADM(**TINY), cohort=beats(tmp_path, 11, n_frames=4, noise=10.0))


def test_the_presets_are_what_they_are_called():
    paper = SADM(preset="paper").settings
    assert (paper.expected, paper.autoregressive, paper.given, paper.sampler) == (
        False, True, "published", "ancestral-interpolated"
    )  # fmt: skip
    assert (paper.guidance, paper.learning_rate, paper.batch_size, paper.parameterisation) == (0.2, 1e-4, 3, "noise")
    default = SADM().settings
    assert default.expected
    assert not default.autoregressive


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"expected": False, "diffusion": False}, "nothing would be learned"),
        ({"n_networks": 1}, "n_networks must be at least 2"),
        ({"parameterisation": "noise"}, "noise cannot be predicted on a path that ends at noise"),
        ({"channels": (12,), "unet_attention": (False,)}, "multiples of 8"),
        ({"v": 1.5}, "v in"),
        ({"base": "both"}, "base must be one of"),
        ({"sampler": "none"}, "sampler must be one of"),
    ],
)
def test_settings_that_cannot_be_are_refused(hearts, settings, told):
    with pytest.raises(SettingError, match=told):
        SADM(**settings).fit(hearts.select_subjects(range(4)))


def test_one_film_is_too_few(hearts):
    with pytest.raises(TooFewPairsError, match="only 1 subject has two images or more"):
        SADM(**TINY).fit(hearts.select_subjects([0]))


@pytest.mark.minutes
def test_ends_of_a_beat_at_unknown_times(tmp_path):
    """ED and ES, as hearts are often kept: no time between them is known, and the order counts."""
    change = np.zeros((16, 16, 16))
    change[4:12, 4:12, 8:12] = 150.0
    films = {f"s{i}": (np.array([np.nan, np.nan]), np.stack([still(i), still(i) + change])) for i in range(8)}
    cohort = film_cohort(tmp_path, films, period=1.0)
    imputer = SADM(**TINY | {"epochs": 12, "examples_per_epoch": 24, "learning_rate": 1e-2}).fit(
        cohort.select_subjects(range(6)), seed=0
    )
    task = hide(cohort.select_subjects([6, 7]))
    for volume, real in zip(imputer.impute(task.shown, draws=2), truth(task), strict=True):
        copied = np.sqrt(np.mean((read_image(volume.source).data - real) ** 2))
        assert np.sqrt(np.mean((volume.mean - real) ** 2)) < 0.7 * copied
