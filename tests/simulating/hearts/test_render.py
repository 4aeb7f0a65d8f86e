from dataclasses import replace

import numpy as np
import pytest

from nextscan.errors import SettingError
from nextscan.simulating.hearts.beat import TRAITS, Beat
from nextscan.simulating.hearts.cohort import heart_of
from nextscan.simulating.hearts.physiology import GROUPS
from nextscan.simulating.hearts.render import LABELS, TISSUES
from simulating_hearts import people


def counted(labels, spacing):
    """Volumes of the tissues in mL, one row per frame."""
    voxel = np.prod(spacing) / 1000
    return np.stack([(labels == LABELS[name]).sum(axis=(0, 1, 2)) for name in TISSUES], axis=-1) * voxel


@pytest.fixture(scope="module")
def law():
    return people(15)


@pytest.mark.parametrize("shape", [(32, 32, 8), (48, 40, 10)])
def test_masks_have_the_volumes_of_the_law(shape):
    law = people(10, shape=shape)
    for subject in law.subjects:
        heart, beat = heart_of(law, str(subject)), law.beat(str(subject))
        true = heart.true_volumes(beat)
        np.testing.assert_allclose(true[:, 0], beat.lv[0])
        np.testing.assert_allclose(heart.volumes(beat), true, rtol=0.01)
        _, labels = heart.labelled_frames(beat)
        assert np.abs(counted(labels, law.spacing) - true).max() <= np.prod(law.spacing) / 1000 + 1e-9


def test_masks_are_whole_in_every_slice():
    """Also in a slice that holds part of the base, all of whose voxels are filled alike."""
    from scipy.ndimage import label

    law = people(5, shape=(64, 64, 8))
    for subject in law.subjects:
        _, labels = heart_of(law, str(subject)).labelled_frames(law.beat(str(subject)))
        for mask in np.moveaxis(labels, (2, 3), (0, 1)).reshape(-1, 64, 64):
            assert label(mask == LABELS["lv"])[1] <= 1
            assert label(mask > 0)[1] <= 1


def test_muscle_keeps_its_volume(law):
    for subject in law.subjects:
        muscle = heart_of(law, str(subject)).volumes(law.beat(str(subject)))[:, 1]
        assert np.ptp(muscle) < 0.02 * muscle.mean()


def test_the_images_hold_the_largest_hearts():
    """A stack of 8 slices of 10 mm would not."""
    law = people(2000, DCM=1)
    largest = np.argsort(law.traits[:, 0])[-3:]
    for i in largest:
        subject = str(law.subjects[i])
        heart, beat = heart_of(law, subject), law.beat(subject)
        heart.check_fits(subject)
        np.testing.assert_allclose(heart.volumes(beat), heart.true_volumes(beat), rtol=0.01)
        short = replace(heart, spacing=(*law.spacing[:2], 10.0))
        with pytest.raises(SettingError, match=r"does not fit into images of 32×32×8 voxels of 5\.625×5\.625×10 mm"):
            short.check_fits(subject)
    wide = law.traits[:, TRAITS.index("log_rv_esv")].argmax()
    heart_of(law, str(law.subjects[wide])).check_fits("widest")


def test_frames_do_not_depend_on_their_neighbours(law):
    heart, beat = heart_of(law, "001"), law.beat("001")
    together = heart.frames(beat)
    alone = heart.frames(law.beat("001", law.times[[3, 7]]))
    np.testing.assert_allclose(alone, together[..., [3, 7]], atol=1e-3)
    many = heart.frames(Beat.of(law.traits[:3], [0.0, 0.3]))
    np.testing.assert_allclose(many[..., 0], together[..., 0], atol=1e-3)
    assert many.shape == (32, 32, 8, 6)


def test_volumes_in_images_change_smoothly(law):
    heart = heart_of(law, "002")
    near = law.beat("002", [0.2, 0.201])
    change = np.abs(np.diff(heart.frames(near), axis=-1)).max()
    assert 0 < change < 5  # of 255: partial voxels, none of which jumps from muscle to blood


def test_blood_is_bright_and_muscle_dark(law):
    heart = heart_of(law, "003")
    image, labels = (frames[..., 0] for frames in heart.labelled_frames(law.beat("003")))
    blood, muscle = np.median(image[labels == LABELS["lv"]]), np.median(image[labels == LABELS["myocardium"]])
    assert blood > 1.6 * muscle
    assert image.min() < 30  # lungs
    assert image.max() < 260


def test_the_ill_sector_contracts_less():
    law = people(12, MINF=1, shape=(64, 64, 8))
    heart = heart_of(law, "001")
    heart = replace(
        heart, form=replace(heart.form, loss=0.8, asymmetry=0.0, tilt=(0.0, 0.0), stretch=1.0), shifts=0 * heart.shifts
    )
    _, labels = heart.labelled_frames(law.beat("001", [0.0, 0.37]))
    start, end = (labels[:, :, 4, k] == LABELS["lv"] for k in range(2))
    axes = [(np.arange(64) - 31.5) * law.spacing[0]] * 2
    x, y = np.meshgrid(*axes, indexing="ij")
    away = np.angle(np.exp(1j * (np.arctan2(y - heart.form.centre[1], x - heart.form.centre[0]) - heart.form.ill)))
    ill, well = np.abs(away) < 0.5, np.abs(away) > 2
    lost = [(start & part).sum() - (end & part).sum() for part in (ill, well)]
    assert lost[0] / (start & ill).sum() < 0.5 * lost[1] / (start & well).sum()
    assert GROUPS[law.group[0]] == "MINF"


def test_a_shifted_slice_stays_shifted(law):
    heart = heart_of(law, "004")
    moved = replace(heart, shifts=heart.shifts + np.array([law.spacing[0], 0.0]))
    for time in (0.0, 0.3):
        beat = law.beat("004", [time])
        labels, other = (each.labelled_frames(beat)[1][..., 0] for each in (heart, moved))
        assert np.mean(labels[:-1] == other[1:]) > 0.98
