"""What images of one contrast have in common: real ones of three contrasts, phantoms made into others."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nextscan.images.coarse import Coarse, coarsen
from nextscan.images.contrast import Contrast, levels_of
from nextscan.images.files import Image, read_image
from nextscan.simulating.brains.cohort import simulate_brains

pytestmark = pytest.mark.minutes

T2 = (0, 1, 1, 0.6, 0.45, 0.6, 0.6, 0.5, 0.6, 0.45, 0.45, 0.07, 0.3, 0.6)  # of each tissue of the phantom
PD = (0, 0.8, 0.8, 0.95, 0.8, 0.95, 0.95, 0.9, 0.95, 0.8, 0.8, 0.1, 0.6, 0.9)
Look = Callable[[Image, np.ndarray, int], np.ndarray]


def of_tissues(*brightness: float) -> Look:
    def look(image: Image, labels: np.ndarray, who: int) -> np.ndarray:
        noise = np.random.default_rng(who).normal(0, 30, (2, *labels.shape))
        return np.hypot(1000 * np.array(brightness)[labels] + noise[0], noise[1])

    return look


def as_it_is(image: Image, labels: np.ndarray, who: int) -> np.ndarray:
    return image.data


def scaled(image: Image, labels: np.ndarray, who: int) -> np.ndarray:
    return 0.01 * image.data + 30


def coil(image: Image, labels: np.ndarray, who: int) -> np.ndarray:
    return image.data * np.exp(np.linspace(-0.4, 0.4, labels.shape[1]))[:, None]


def noisy(image: Image, labels: np.ndarray, who: int) -> np.ndarray:
    noise = np.random.default_rng(who).normal(0, 80, (2, *labels.shape))
    return np.hypot(image.data + noise[0], noise[1])


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Image, np.ndarray]]:
    cohort = simulate_brains(tmp_path_factory.mktemp("brains") / "c", n_subjects=9, shape=(40, 50, 40), seed=4)
    return [
        (read_image(cohort.files_of("volume")[row]), read_image(cohort.files_of("segmentation")[row]).data.astype(int))
        for row in cohort.some_volumes(9)
    ]


def seen(people: list[tuple[Image, np.ndarray]], look: Look) -> list[Coarse]:
    return [
        coarsen(replace(image, data=look(image, labels, who).astype(np.float32)))
        for who, (image, labels) in enumerate(people)
    ]


@pytest.mark.parametrize(
    ("look", "is_other"),
    [
        (as_it_is, False),
        (scaled, False),
        (coil, False),
        (noisy, False),
        (of_tissues(*T2), True),
        (of_tissues(*PD), True),
    ],
)
def test_another_contrast_is_known_and_a_scanner_s_ways_are_none(
    people: list[tuple[Image, np.ndarray]], look: Look, is_other: bool
) -> None:
    usual = Contrast.of(seen(people[:5], as_it_is), most=False)
    assert [bool(usual.unlike(image)) for image in seen(people[5:], look)] == [is_other] * 4


def test_a_minority_does_not_make_itself_usual(people: list[tuple[Image, np.ndarray]]) -> None:
    usual = Contrast.of([*seen(people[:4], as_it_is), *seen(people[4:6], of_tissues(*PD))], most=True)
    assert not any(usual.unlike(image) for image in seen(people[6:], as_it_is))
    assert all(usual.unlike(image) for image in seen(people[6:], of_tissues(*PD)))
    trained = Contrast.of([*seen(people[:4], as_it_is), *seen(people[4:6], of_tissues(*PD))], most=False)
    assert not any(trained.unlike(image) for image in seen(people[6:], of_tissues(*PD)))


def test_it_is_the_same_once_it_is_saved(people: list[tuple[Image, np.ndarray]]) -> None:
    images = seen(people, of_tissues(*T2))
    for n in (1, 4):
        usual = Contrast.of(seen(people[:n], as_it_is), most=True)
        again = Contrast.from_state(usual.state())
        assert [again.unlike(image) for image in images] == [usual.unlike(image) for image in images]


def test_levels_are_quantiles_of_the_head_against_its_median() -> None:
    data = np.zeros((20, 20, 20), np.float32)
    data[5:15, 5:15, 5:15] = np.linspace(100, 300, 1000).reshape(10, 10, 10)
    inside = data > 50
    image = Coarse(data + 7, np.diag([4.0, 4, 4, 1]), inside, ~inside, np.full(3, 4.0))
    expected = np.log(np.linspace(110, 280, 18) / 200)  # 5 to 90 %
    np.testing.assert_allclose(levels_of(image), expected, atol=2e-3)


CONTRASTS = ("FLAIR", "T1W", "T2W")


@pytest.fixture(scope="module")
def open_ms(shared_data: Path) -> dict[str, list[Coarse]]:
    """Return images of two patients, and of both a year later."""
    folder = shared_data / "volumes" / "open_ms"
    return {
        name: [
            coarsen(read_image(folder / patient / f"study{n}_{name}.nii.gz"))
            for n in (1, 2)
            for patient in ("patient01", "patient12")
        ]
        for name in CONTRASTS
    }


@pytest.mark.parametrize("learned", CONTRASTS)
def test_real_contrasts_are_told_apart(open_ms: dict[str, list[Coarse]], learned: str) -> None:
    usual = Contrast.of(open_ms[learned][:2], most=False)
    for name, images in open_ms.items():
        assert [bool(usual.unlike(image)) for image in images] == [name != learned] * 4, name


def test_real_brains_of_all_ages_are_alike(shared_data: Path) -> None:
    paths = sorted((shared_data / "volumes" / "fetal_atlas").glob("*/srr.nii.gz"))
    images = [coarsen(read_image(path)) for path in paths]
    usual = Contrast.of(images[::3], most=True)
    assert not any(usual.unlike(image) for image in images)
