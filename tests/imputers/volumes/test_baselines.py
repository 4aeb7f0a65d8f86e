"""Copy source and mean change: means that are known, draws that resample what training pairs did."""

from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import hide
from nextscan.errors import CohortError, NextscanWarning, SettingError, TooFewPairsError
from nextscan.images.files import read_image, write_image
from nextscan.imputers.contract.volume_world import growing_ventricles
from nextscan.imputers.volumes.base import Given
from nextscan.imputers.volumes.copy_source import CopySource
from nextscan.imputers.volumes.mean_change import VolumeMeanChange
from nextscan.imputers.volumes.pairs import prepared_pairs


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return growing_ventricles(tmp_path_factory.mktemp("images"), 9, seed=3)


@pytest.fixture(scope="module")
def split(cohort):
    train = np.arange(cohort.n_subjects) < 7
    return cohort.select_subjects(train), hide(cohort.select_subjects(~train))


def test_the_mean_of_copy_source_is_the_source_to_the_bit(split):
    train, task = split
    result = CopySource().fit(train).impute(task.shown, 4)
    for volume in result:
        np.testing.assert_array_equal(volume.mean, read_image(volume.source).data)


def test_a_head_that_the_grid_of_the_model_does_not_hold_is_named(split, tmp_path):
    train, task = split
    model = CopySource().fit(train)
    one = task.shown.select_subjects([0])
    first = read_image(one.files_of("volume")[0])
    wide = write_image(tmp_path / "wide.nii.gz", np.pad(first.data, ((14, 0), (0, 0), (0, 0))), first.affine)
    paths = np.where(one.has_volume, str(wide), "")
    shifted = replace(one, files={"volume": paths})
    with pytest.warns(NextscanWarning, match=r"wide.nii.gz .*: \d\d% of the head lie outside the grid of the model"):
        volume = model.impute(shifted, 1)[0]
    np.testing.assert_array_equal(volume.mean, read_image(wide).data)


def test_draws_of_copy_source_add_whole_residuals_of_training(split):
    train, _ = split
    model = CopySource().fit(train)
    draw = model._drawing()
    given_source = np.zeros((16, 16, 16), np.float32)
    draws, mean = draw(Given("sub-x", given_source, 1.0, train.labels_at(np.array([0]))), 50, 3)
    np.testing.assert_array_equal(mean, given_source)
    kept = model.residuals_.astype(np.float32)
    nearest = np.abs(draws[:, None] - kept[None]).max(axis=(2, 3, 4)).min(axis=1)
    assert nearest.max() == 0
    with prepared_pairs(train, model.preparer_, None, None) as data:
        assert len(kept) == len(data) == 18
        np.testing.assert_allclose(kept[0], data.change(0), atol=1e-3)


def test_mean_change_is_least_squares_through_the_origin(split):
    train, _ = split
    model = VolumeMeanChange().fit(train)
    with prepared_pairs(train, model.preparer_, None, None) as data:
        reach = data.pairs.gap / data.pairs.gap.mean()
        changes = np.stack([data.change(i) for i in range(len(data))])
    slope = np.einsum("i,ixyz->xyz", reach, changes) / (reach @ reach)
    np.testing.assert_allclose(model.change_, slope, atol=1e-5)
    leverage = (reach**2 / (reach @ reach))[:, None, None, None]
    residuals = (changes - reach[:, None, None, None] * slope) / (1 - leverage)
    np.testing.assert_allclose(model.residuals_, residuals, atol=2e-3)


def test_mean_change_grows_with_the_years_and_shrinks_the_head_back(split, cohort):
    train, _ = split
    one = cohort.select_subjects([7]).select_visits(cohort.select_subjects([7]).years == 0)
    result = VolumeMeanChange().fit(train).impute(one, 1, at_years=[-1.0, 0.0, 1.0, 2.0])
    source = read_image(result[0].source).data
    change = [(volume.mean - source)[6:10, 6:10, 6:10].mean() / source.max() for volume in result]
    assert change[1] == 0
    assert change[0] > 0 > change[2] > change[3]
    assert change[3] == pytest.approx(2 * change[2], rel=0.05)  # nothing is clipped there


def test_mean_change_is_nearer_to_the_truth_than_the_copy(split):
    train, task = split
    errors = {}
    for model in (CopySource(), VolumeMeanChange()):
        result = model.fit(train).impute(task.shown, 1)
        truth = [read_image(path).data for path in task.truth_files["volume"]]
        # each scan has a brightness of its own
        errors[model.name] = sum(
            float(np.square(volume.mean / volume.mean.mean() - true / true.mean()).mean())
            for volume, true in zip(result, truth, strict=True)
        )
    assert errors["volume-mean-change"] < errors["copy-source"]


def test_only_so_many_residuals_are_kept_and_the_seed_says_which(split):
    train, _ = split
    first, again, other = (CopySource(n_residuals=4).fit(train, seed=seed).residuals_ for seed in (1, 1, 2))
    assert first.shape == (4, 16, 16, 16)
    assert first.dtype == np.float16
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    with pytest.raises(SettingError, match="n_residuals"):
        CopySource(n_residuals=0).fit(train)


def test_what_cannot_be_learned_from_is_refused(split):
    train, task = split
    table = replace(train, files={}, features=np.ones((train.n_visits, 1)), feature_names=("x",))
    with pytest.raises(CohortError, match="holds no images"):
        CopySource().fit(table)
    with pytest.raises(TooFewPairsError, match="at least 1 pairs of images"):
        CopySource().fit(train.select_visits(train.years == 0))
    with pytest.raises(SettingError, match="predicts forward only"):
        CopySource().fit(train).impute(task.shown, at_years=[-1.0])


def test_features_are_learned_by_others(split):
    from nextscan.imputers import make_imputer

    with pytest.raises(CohortError, match="holds no features, and ridge learns from features"):
        make_imputer("ridge").fit(split[0])
