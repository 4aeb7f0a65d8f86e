"""Which pairs of images are learned from, and how they are read."""

from dataclasses import replace

import numpy as np
import pytest

from nextscan.imputers.contract.volume_world import growing_ventricles
from nextscan.imputers.volumes.pairs import forward_pairs, images_only, prepared_pairs
from nextscan.preprocess.volumes import VolumePreparer
from volume_samples import centred, image_cohort
from volume_samples import head as sample_head


@pytest.fixture
def cohort(tmp_path):
    return growing_ventricles(tmp_path / "images", 4, noise=0.0)


def test_all_ordered_pairs_of_a_subject_are_found(cohort):
    found = forward_pairs(cohort)
    assert len(found) == 3 * 3  # three subjects with three visits, one with one
    assert (cohort.subject_of[found.context] == cohort.subject_of[found.target]).all()
    assert (found.gap > 0).all()
    np.testing.assert_allclose(found.gap, cohort.years[found.target] - cohort.years[found.context])


def test_visits_without_image_make_no_pair_whatever_else_they_hold(cohort):
    paths = cohort.files_of("volume").copy()
    paths[1] = ""
    some = replace(
        cohort, features=np.ones((cohort.n_visits, 1)), feature_names=("age of a brain",), files={"volume": paths}
    )
    assert len(forward_pairs(some)) == 1 + 3 + 3
    assert not some.is_request[1]
    assert images_only(some).is_request[1]


def test_nobody_twice_means_no_pairs(cohort):
    assert len(forward_pairs(cohort.select_visits(cohort.years == 0))) == 0


def test_volumes_are_kept_on_disk_and_progress_is_told(cohort, tmp_path):
    told = []
    preparer = VolumePreparer.of(cohort)
    with prepared_pairs(cohort, preparer, tmp_path / "checkpoint", told.append) as data:
        source, target = data.both(0)
        assert isinstance(source.base, np.memmap) or isinstance(source, np.memmap)
        assert source.shape == target.shape == (16, 16, 16)
        np.testing.assert_array_equal(data.change(0), target - source)
    assert [event["done"] for event in told] == list(range(1, 10))  # the single visit is not read
    assert len(list((tmp_path / "checkpoint" / "volumes").glob("*.npy"))) == 9


def test_a_pair_turned_round_starts_from_the_later_image(cohort):
    with prepared_pairs(cohort, VolumePreparer.of(cohort), None, None) as data:
        (source, target), (later, earlier) = data.both(0), data.both(0, backward=True)
    np.testing.assert_array_equal(later, target)
    np.testing.assert_array_equal(earlier, source)


def test_matched_pairs_differ_by_what_changed_alone(tmp_path):
    still = growing_ventricles(tmp_path / "still", 4, noise=0.0, rate=0.0)  # scans differ in brightness only
    preparer = VolumePreparer.of(still)
    with prepared_pairs(still, preparer, None, None, match_brightness=True) as data:
        assert data.spread() < 1e-3
        source, target = data.both(0)
        assert source.std() > 0.3
        backward = data.both(0, backward=True)
        assert np.abs(backward[1] - backward[0]).max() < 1e-2
        assert np.abs(target - source).max() < 1e-2


@pytest.mark.parametrize("match_brightness", [False, True])
def test_a_slab_that_one_scan_missed_is_no_change(tmp_path, match_brightness):
    affine = centred(np.eye(3), (3, 3, 3), (32, 40, 32))
    whole = sample_head(affine, (32, 40, 32))
    missed = affine.copy()
    missed[:3, 3] += affine[:3, :3] @ [0, 0, 6]  # the later scan begins six voxels further up, and ends further up
    later = np.concatenate([whole[..., 6:] + 90, np.full((32, 40, 2), 700, np.float32)], axis=2)
    two = image_cohort(tmp_path, [("a", "1", whole, affine), ("a", "2", later, missed)])
    preparer = VolumePreparer((32, 40, 40), (3.0, 3.0, 3.0))
    with prepared_pairs(two, preparer, None, None, match_brightness=match_brightness) as data:
        for backward in (False, True):
            source, target = data.both(0, backward=backward)
            both = slice(4 + 6, 4 + 32)  # of the grid, whose middle is that of the first image
            np.testing.assert_array_equal(target[..., :10], source[..., :10])
            np.testing.assert_array_equal(target[..., 36:], source[..., 36:])
            assert (target[..., both] != source[..., both]).mean() > 0.1  # the head; around it is air
        shown = data.volumes[0].shown_by_both(data.volumes[1])
        np.testing.assert_array_equal(shown.all(axis=(0, 1)), [10 <= z < 36 for z in range(40)])
        assert data.volumes[0].shown_by_both(data.volumes[0]) is None
