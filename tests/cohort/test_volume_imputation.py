"""Predicted volumes: made when asked for, with spread and intervals that are known."""

import numpy as np
import pytest

from nextscan.cohort import PredictedVolume, Targets, VolumeImputation
from nextscan.errors import SettingError


def predicted(i, draws):
    return PredictedVolume(
        subject=f"sub-{i}",
        visit="2",
        years=1.0,
        gap=1.0,
        source=f"{i}.nii.gz",
        affine=np.eye(4),
        mean=draws.mean(axis=0),
        draws=draws,
    )


@pytest.fixture
def result():
    n = 3
    wanted = Targets(
        subject=np.array([f"sub-{i}" for i in range(n)]),
        visit=np.full(n, "2"),
        years=np.ones(n),
        context=np.arange(n),
        gap=np.ones(n),
        row=np.full(n, -1),
    )
    asked = []

    def predict(i):
        asked.append(i)
        return predicted(i, np.full((2, 2, 2, 2), float(i), np.float32))

    return VolumeImputation("copy-source", wanted, seed=7, n_draws=2, predict=predict), asked


def test_volumes_are_made_one_at_a_time_when_asked_for(result):
    imputation, asked = result
    assert len(imputation) == 3
    assert asked == []
    each = iter(imputation)
    assert next(each).subject == "sub-0"
    assert asked == [0]
    assert imputation[-1].mean[0, 0, 0] == 2.0
    assert asked == [0, 2]
    with pytest.raises(IndexError):
        imputation[3]


def test_selected_targets_keep_their_volumes(result):
    part = result[0].select(np.array([2, 0]))
    assert [volume.subject for volume in part] == ["sub-2", "sub-0"]
    assert part.targets["subject"].tolist() == ["sub-2", "sub-0"]


def test_sd_and_interval_have_their_known_values():
    draws = np.arange(1.0, 20.0, dtype=np.float32).reshape(19, 1, 1, 1)
    volume = predicted(0, draws)
    assert np.isclose(volume.sd().item(), np.sqrt(19 * 20 / 12))  # of 1..n: n(n + 1) / 12
    low, high = volume.interval(0.9)
    assert (low.item(), high.item()) == (1.0, 19.0)
    assert volume.sd().dtype == low.dtype == np.float32


def test_too_few_draws_are_refused():
    volume = predicted(0, np.zeros((1, 2, 2, 2), np.float32))
    with pytest.raises(SettingError, match="at least 2 draws"):
        volume.sd()
    with pytest.raises(SettingError, match="19 draws"):
        volume.interval(0.9)
