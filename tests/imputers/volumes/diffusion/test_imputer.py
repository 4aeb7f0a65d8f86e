"""Diffusion of volumes, fitted: settings, what the default promises, and that it learns."""

from dataclasses import fields, replace

import numpy as np
import pytest

import nextscan
from nextscan.cohort import hide
from nextscan.errors import CohortError, SettingError, TooFewPairsError
from nextscan.images.files import read_image
from nextscan.imputers.contract.volume_world import growing_ventricles
from nextscan.imputers.volumes.copy_source import CopySource
from nextscan.imputers.volumes.diffusion.imputer import VolumeDiffusion
from nextscan.imputers.volumes.diffusion.med_ddpm import MedDDPM
from nextscan.imputers.volumes.diffusion.settings import MED_DDPM, PRESETS, VolumeDiffusionSettings
from nextscan.imputers.volumes.mean_change import VolumeMeanChange
from nextscan.imputers.volumes.vae.imputer import VolumeVAE

TINY = {"channels": (8, 16), "attention": (False, False)}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return growing_ventricles(tmp_path_factory.mktemp("images"), 28, seed=5)


@pytest.fixture(scope="module")
def split(cohort):
    train = np.arange(cohort.n_subjects) < 20
    return cohort.select_subjects(train), hide(cohort.select_subjects(~train), 1)


@pytest.fixture(scope="module")
def fitted(split):
    return VolumeDiffusion(**TINY, epochs=60).fit(split[0], seed=1)


def changes(model, task):
    """Return predicted and real change in the middle of the head, a share of its brightness, one per target."""
    predicted, real = [], []
    for volume, path in zip(model.impute(task.shown, 1, seed=2), task.truth_files["volume"], strict=True):
        source, truth = (read_image(each).data for each in (volume.source, path))
        middle = (slice(4, 12),) * 3
        bright = np.quantile(truth, 0.9) / np.quantile(source, 0.9)
        predicted.append((volume.mean - source)[middle].mean() / np.quantile(source, 0.9))
        real.append((truth / bright - source)[middle].mean() / np.quantile(source, 0.9))
    return np.array(predicted), np.array(real)


# -- settings -------------------------------------------------------------------------------------


def test_every_setting_of_the_presets_can_be_given():
    names = {field.name for field in fields(VolumeDiffusionSettings)}
    changeable = set(VolumeDiffusion.setting_names())
    assert names - changeable == {"clamp", "decay", "interval_dropout"}
    model = VolumeDiffusion(sampling_steps=4, channels=(8, 8, 8))
    assert model.settings == replace(PRESETS["default"], sampling_steps=4, channels=(8, 8, 8))
    assert nextscan.VolumeDiffusion is VolumeDiffusion


def test_the_paper_is_what_the_paper_says():
    paper = VolumeDiffusion(preset="paper").settings
    assert (paper.steps, paper.sampling_steps, paper.sampler) == (1000, 1000, "ancestral")
    assert (paper.target, paper.parameterisation, paper.condition) == ("follow-up", "noise", "add")
    assert (paper.batch_size, paper.learning_rate) == (1, 1e-3)
    assert paper.epochs * paper.examples_per_epoch == 300_000
    from nextscan.imputers.volumes.diffusion.trained import make_process

    betas = make_process(paper, np.ones(2, np.float32)).path.betas
    assert (len(betas), betas[0], betas[-1]) == (1000, pytest.approx(1e-4), pytest.approx(0.02))
    assert VolumeDiffusion(preset="paper").needs_time
    assert not VolumeDiffusion(preset="paper", interval="unseen").uses_time
    unconditional = VolumeDiffusion(preset="paper", interval="unseen", use_source=False).settings
    assert not unconditional.use_source


def test_med_ddpm_differs_from_the_default_by_condition_and_target():
    default = PRESETS["default"].to_dict()
    differs = {name for name, value in MED_DDPM.to_dict().items() if value != default[name]}
    how = {"batch_size", "learning_rate"}  # of a network that has all of the anatomy to learn
    assert differs - how == {
        "target",
        "condition",
        "mean_channels",
        "grows",
        "backward",
        "use_labels",
        "sampling_steps",
    }
    assert MedDDPM(epochs=3).settings == replace(MED_DDPM, epochs=3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"preset": "papre"}, "default, paper"),
        ({"target": "residuals"}, "target must be one of follow-up, residual"),
        ({"use_source": False}, "set target='follow-up'"),
        ({"target": "follow-up"}, r"mean_channels=\(\)"),
        ({"interval": "unseen"}, "backward=False"),
        ({"draw_share": 0.0}, r"draw_share must be in \(0, 1\]"),
        ({"mean_channels": (8, 30)}, "mean_channels must be positive, the last a multiple of 4"),
        ({"channels": (16, 30, 64)}, "channels must be multiples of 8"),
        ({"channels": (16, 32)}, "with one choice of attention each"),
        ({"parameterisation": "noise"}, "set parameterisation='velocity'"),
        ({"preset": "paper", "sampling_steps": 2000}, "exceeds the 1000 steps"),
        ({"patch": 0}, "patch must be at least 1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        VolumeDiffusion(**settings).settings  # noqa: B018


def test_a_wrong_sampler_is_refused_before_anything_is_read(split):
    with pytest.raises(SettingError, match="sampler must be one of"):
        VolumeDiffusion(sampler="euler").fit(split[0])


def test_the_paper_needs_times_and_everybody_needs_two_subjects(split):
    train, _ = split
    timeless = replace(train, years=np.where(train.years == 0, 0.0, np.nan))
    with pytest.raises(CohortError, match="lack the time between them"):
        VolumeDiffusion(preset="paper", **TINY).fit(timeless)
    one = train.select_subjects([0])
    with pytest.raises(TooFewPairsError, match="at least 2 are needed"):
        VolumeDiffusion(**TINY).fit(one)


# -- what it learns -------------------------------------------------------------------------------


@pytest.mark.minutes
def test_it_learns_change_about_as_well_as_the_mean_change_from_twenty_small_heads(fitted, split):
    train, task = split
    predicted, real = changes(fitted, task)
    error = np.square(predicted - real).sum()
    assert np.corrcoef(predicted, real)[0, 1] > 0.7
    # heads of this world lie on each other, and all change alike: nobody can beat their mean by much
    for baseline, share in ((CopySource(), 0.2), (VolumeMeanChange(), 1.25)):
        other, _ = changes(baseline.fit(train), task)
        assert error < share * np.square(other - real).sum()


@pytest.mark.minutes
def test_change_grows_with_the_years_from_nothing(fitted, split):
    task = split[1]
    first = task.shown.select_visits(task.shown.has_volume)
    result = fitted.impute(first, 2, seed=1, at_years=[-1.0, 0.0, 0.5, 1.0, 2.0, 5.0])
    spread = fitted.record_["spread"]
    for subject in np.unique(result.requested.subject):
        of = [result[int(i)] for i in np.flatnonzero(result.requested.subject == subject)]
        source = read_image(of[0].source).data
        middle = [float(volume.mean[6:10, 6:10, 6:10].mean()) for volume in of]
        assert (np.diff(middle) < 0).all()  # the dark ventricle grows
        bright = np.quantile(source, 0.9)
        np.testing.assert_allclose(of[1].mean, source, atol=1e-3 * bright)
        at_zero = np.sqrt(np.mean(np.square(of[1].draws - source)))
        assert at_zero < 1.5 * spread * bright  # another scan, not another head


@pytest.mark.minutes
def test_draws_spread_as_follow_ups_do(fitted, split):
    task = split[1]
    ratios = []
    for volume, path in zip(fitted.impute(task.shown, 8, seed=2), task.truth_files["volume"], strict=True):
        truth = read_image(path).data
        truth = truth * np.quantile(volume.mean, 0.9) / np.quantile(truth, 0.9)
        inside = volume.mean > 0.5 * np.quantile(volume.mean, 0.9)
        middle = volume.draws.mean(axis=0)  # the mean has the noise of the source
        ratios.append(volume.sd()[inside].mean() / np.sqrt(np.square(middle - truth)[inside].mean()))
    assert 0.75 < np.mean(ratios) < 1.25


@pytest.mark.minutes
def test_seeds_give_models_of_their_own_and_a_unit_change_is_recorded(split):
    train = split[0].select_subjects(np.arange(8))
    model = VolumeDiffusion(**TINY, epochs=1, examples_per_epoch=16)
    models = model.fit(train, seeds=[1, 2])
    assert [model.record_["seed"] for model in models] == [1, 2]
    first, second = (model.model_.network for model in models)
    assert any(not np.array_equal(first[name], second[name]) for name in first)
    alone = model.clone().fit(train, seed=2)
    assert all(np.array_equal(alone.model_.network[name], second[name]) for name in second)
    assert models[0].record_["spread"] > 0


@pytest.mark.minutes
@pytest.mark.parametrize("settings", [{}, {"use_source": False}, {"interval": "unseen"}])
def test_the_papers_ablations_fit_and_draw(split, settings):
    train, task = split
    few = {"epochs": 1, "examples_per_epoch": 2, "steps": 10, "sampling_steps": 3}
    model = VolumeDiffusion(preset="paper", **few, **TINY, n_residual=1, patch=2, **settings)
    model.fit(train.select_subjects(np.arange(6)), seed=1)
    (volume,) = model.impute(task.shown.select_subjects([0]), 2, seed=1).select(np.array([0]))
    assert np.isfinite(volume.draws).all()
    np.testing.assert_allclose(volume.mean, volume.draws.mean(axis=0), atol=0.5)  # of intensities up to 1000


# -- the autoencoder ------------------------------------------------------------------------------


@pytest.mark.minutes
def test_the_autoencoder_learns_change(split):
    train, task = split
    model = VolumeVAE(channels=(8, 16), epochs=12, learning_rate=3e-3).fit(train, seed=1)
    predicted, real = changes(model, task)
    copy, _ = changes(CopySource().fit(train), task)
    assert np.square(predicted - real).sum() < 0.7 * np.square(copy - real).sum()
