"""Every registered imputer of volumes keeps the contract, and broken ones are noticed."""

from dataclasses import replace

import numpy as np
import pytest

from film_samples import beats
from nextscan.imputers import SEQUENCE_BASELINES, VOLUME_BASELINES, imputer_names, make_imputer
from nextscan.imputers.contract.check import candidate_for, check_imputer, imputer_checks
from nextscan.imputers.contract.volume_candidate import VolumeCandidate
from nextscan.imputers.volumes.copy_source import CopySource

CHECKS = {check.__name__: check for check in imputer_checks("volumes")}
TINY = {"epochs": 2, "examples_per_epoch": 8, "channels": (8, 16), "patch": 2}
CLOSED_FORM = (*VOLUME_BASELINES, *SEQUENCE_BASELINES, "deformation")
SETTINGS = {
    **{name: {} for name in CLOSED_FORM},
    "volume-diffusion": {**TINY, "attention": (False, True), "sampling_steps": 2},
    "volume-vae": {**TINY, "latent": 2},
    "unet-gan": TINY,
    "sadm": {
        **{"epochs": 2, "examples_per_epoch": 8, "channels": (8, 16), "unet_attention": (False, False)},
        **{"width": 24, "n_networks": 2, "sampling_steps": 2, "mean_channels": (4, 8)},
    },
    "med-ddpm": {**TINY, "attention": (False, False), "sampling_steps": 2},
}

LONG = [pytest.param(name, marks=pytest.mark.minutes) for name in SETTINGS if name not in VOLUME_BASELINES]


@pytest.fixture(scope="module")
def candidates():
    made = {}

    def candidate(name):
        if name not in made:
            made[name] = candidate_for(lambda: make_imputer(name, **SETTINGS[name]))
        return made[name]

    return candidate


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", [*VOLUME_BASELINES, *LONG])
def test_imputers_of_volumes_keep_the_contract(candidates, name, check):
    CHECKS[check](candidates(name))


@pytest.mark.parametrize("name", [*SEQUENCE_BASELINES, "deformation"])
def test_imputers_of_films_keep_the_contract_where_time_is_a_circle(tmp_path, name):
    check_imputer(lambda: make_imputer(name, n_films=6), cohort=beats(tmp_path, 11, n_frames=4, noise=10.0))


def test_every_registered_imputer_of_volumes_is_tested():
    simulated_only = {"volume-oracle", "heart-oracle"}
    presets = {"sadm-paper"}  # of a method that is tested, with switches of its own
    assert set(imputer_names("volumes")) - simulated_only - presets == set(SETTINGS)
    assert len(CHECKS) >= 20


# Each broken imputer is right but for one thing; the named check must notice, and say so.


class ForgetsOnSaving(CopySource):
    def _state(self):
        return {"residuals": self.residuals_[::-1].copy()}


class OnItsOwnGrid(CopySource):
    def _predict(self, *args):
        volume = super()._predict(*args)
        return replace(volume, affine=np.eye(4))


class IgnoresSeed(CopySource):
    def impute(self, cohort, draws=10, *, seed=0, **others):
        return super().impute(cohort, draws, **others)


class NoiseByPosition(CopySource):
    def _predict(self, cohort, wanted, i, *args):
        volume = super()._predict(cohort, wanted, i, *args)
        return replace(volume, draws=volume.draws + i)


class CountsItsCalls(CopySource):
    def _predict(self, *args):
        volume = super()._predict(*args)
        self.calls_ = getattr(self, "calls_", 0) + 1
        return replace(volume, draws=volume.draws + self.calls_)


class FixedScale(CopySource):
    def _predict(self, *args):
        volume = super()._predict(*args)
        return replace(volume, draws=volume.draws + np.float32(20))


class GoesNegative(CopySource):
    def _predict(self, *args):
        volume = super()._predict(*args)
        return replace(volume, draws=volume.draws - np.float32(500))


class SharesNoise(CopySource):
    def _predict(self, cohort, wanted, i, draw, n_draws, seed):
        return super()._predict(cohort, replace(wanted, subject=np.full(len(wanted), "same")), i, draw, n_draws, seed)


class CountsFeatures(CopySource):
    def _predict(self, cohort, *args):
        volume = super()._predict(cohort, *args)
        return volume

    def impute(self, cohort, *args, **others):
        result = super().impute(cohort, *args, **others)
        predict, extra = result.predict, np.float32(cohort.n_features)
        return replace(result, predict=lambda i: replace(predict(i), draws=predict(i).draws + extra))


@pytest.mark.minutes
@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (ForgetsOnSaving, "check_save_and_load"),
        (OnItsOwnGrid, "check_source_grid"),
        (IgnoresSeed, "check_seeds"),
        (NoiseByPosition, "check_order_of_subjects"),
        (NoiseByPosition, "check_neighbours_do_not_matter"),
        (CountsItsCalls, "check_volumes_are_repeatable"),
        (FixedScale, "check_intensity_scale"),
        (GoesNegative, "check_nonnegative"),
        (SharesNoise, "check_noise_is_per_draw_and_subject"),
        (CountsFeatures, "check_features_do_not_matter"),
    ],
)
def test_broken_imputer_is_noticed(broken, check):
    with pytest.raises(AssertionError):
        CHECKS[check](VolumeCandidate(broken))


@pytest.mark.minutes
def test_leak_is_noticed():
    class Peeks(CopySource):
        def _predict(self, cohort, wanted, i, *args):
            volume = super()._predict(cohort, wanted, i, *args)
            return replace(volume, draws=volume.draws + np.float32(sum(map(ord, peeked[i]))))

    candidate = VolumeCandidate(Peeks)
    peeked = [str(path) for path in candidate.task.truth_files["volume"]]
    assert candidate.result is not None
    peeked = [f"{path}'" for path in peeked]
    with pytest.raises(AssertionError, match="hidden follow-up"):
        CHECKS["check_hidden_truth_does_not_leak"](candidate)


@pytest.mark.minutes
def test_check_imputer_knows_volumes_and_deviations():
    check_imputer(CopySource)
    with pytest.raises(AssertionError, match="a loaded model must make the same draws"):
        check_imputer(IgnoresSeed)
    reason = "one set of draws for all seeds"
    check_imputer(IgnoresSeed, deviations={"check_seeds": reason, "check_save_and_load": reason})
