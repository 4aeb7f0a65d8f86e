"""What the adversarial network is told of time and scale, and that it learns from it."""

import numpy as np
import pytest
import torch

from film_samples import film_cohort, still
from nextscan.cohort import hide, shown_visits
from nextscan.errors import SettingError
from nextscan.images.files import read_image
from nextscan.imputers.sequences.scale import in_window
from nextscan.imputers.sequences.unet_gan.imputer import UNetGAN
from nextscan.imputers.sequences.unet_gan.trained import GANProblem, UNetGANSettings, _in_one_scale, phases
from nextscan.imputers.volumes.conditions import Conditions
from nextscan.imputers.volumes.examples import N_COINS, PairExamples
from nextscan.imputers.volumes.pairs import prepared_pairs
from nextscan.preprocess.volumes import VolumePreparer

TINY = {"channels": (8, 16), "patch": 2, "batch_size": 4}


def test_phases_are_places_on_a_circle():
    found = phases(np.array([0.0, 0.25, 1.25, np.nan]), 1.0)
    np.testing.assert_allclose(found, [[0, 0, 1, 1], [1, 0, 0, -1], [1, 0, 0, -1], [0, 0, 0, 0]], atol=1e-6)
    assert phases(np.zeros(3), None).shape == (3, 0)


@pytest.fixture
def examples(tmp_path):
    images = np.stack([still(bright=bright) for bright in (1000.0, 1500.0, 1200.0)])
    cohort = film_cohort(tmp_path, {"sub-01": (np.array([0.0, 0.25, 0.5]), images)}, period=1.0)
    with prepared_pairs(cohort, VolumePreparer.of(cohort), None, None) as data:
        conditions = Conditions.fit(cohort, data.pairs, interval="reach", use_labels=False)
        yield PairExamples(data, conditions, torch.device("cpu"))


def test_both_images_of_a_pair_have_the_scale_of_the_source(examples):
    data = _in_one_scale(examples).data
    first, second = data.volumes[0], data.volumes[1]
    source, target = data.both(0, backward=True)
    np.testing.assert_array_equal(source, second.data)
    np.testing.assert_allclose(target, in_window(first, second.low, second.high), atol=1e-6)


@pytest.mark.parametrize("turned", [False, True])
def test_the_time_told_is_that_of_the_target_whichever_way_a_pair_is_turned(examples, turned, monkeypatch):
    told = []

    def network(noise, source, numbers, change):
        told.append((source, numbers, change))
        return change, torch.zeros(len(noise)), torch.zeros(len(noise))

    coin = 0.1 if turned else 0.9
    monkeypatch.setattr(
        "nextscan.imputers.sequences.unet_gan.trained.coins_of", lambda generators, n: np.full((1, N_COINS), coin)
    )
    problem = GANProblem(examples, examples, UNetGANSettings(shift=0), 2.0, 1.0)
    loss = problem.loss(network, torch.tensor([[1]]), [torch.Generator()])  # from the first image to the third
    assert loss.tolist() == [[0.0]]
    source, numbers, change = told[0]
    start, stop = (2, 0) if turned else (0, 2)
    np.testing.assert_allclose(numbers[0, 2:], phases(np.array([0.25 * stop]), 1.0)[0], atol=1e-6)
    assert torch.sign(numbers[0, 0]) == (-1 if turned else 1)
    np.testing.assert_array_equal(source[0, 0], examples.data.volumes[start].data)
    np.testing.assert_allclose(
        change[0, 0], (examples.data.volumes[stop].data - examples.data.volumes[start].data) / 2, atol=1e-6
    )


def test_settings():
    assert UNetGAN(adversarial=0.0).settings.adversarial == 0
    with pytest.raises(SettingError, match="adversarial must be at least 0"):
        assert UNetGAN(adversarial=-1.0).settings


@pytest.mark.minutes
def test_it_learns_what_all_hearts_do_at_a_time_of_the_beat(tmp_path):
    radii = (0.6, 0.45, 0.3, 0.45)
    films = {f"sub-{i}": (np.arange(4) / 4, np.stack([beating(r, 0.05 * i) for r in radii])) for i in range(7)}
    cohort = film_cohort(tmp_path, films, period=1.0)
    train, test = cohort.select_subjects([0, 1, 2, 4, 5, 6]), cohort.select_subjects([3])
    task = hide(test, shown_visits(test, "first:1"))
    model = UNetGAN(epochs=20, learning_rate=4e-3, **TINY).fit(train, seed=1)
    errors = {"gan": 0.0, "copy": 0.0}
    for volume, path in zip(model.impute(task.shown, 3), task.truth_files["volume"], strict=True):
        truth = read_image(path).data
        errors["gan"] += np.abs(volume.mean - truth).mean()
        errors["copy"] += np.abs(read_image(volume.source).data - truth).mean()
    assert errors["gan"] < 0.75 * errors["copy"]
    learning = model.record_["learning"]
    assert learning[-1]["validation_score"] > learning[0]["validation_score"]


def beating(radius, centre):
    """Return a bright ball in a dim cube."""
    axes = np.meshgrid(*(np.linspace(-1, 1, 16),) * 3, indexing="ij")
    far = np.sqrt((axes[0] - centre) ** 2 + axes[1] ** 2 + axes[2] ** 2)
    return np.where(still() > 0, 100.0, 0.0) + 400 * (1 + np.tanh((radius - far) / 0.1))
