"""Which visit of a subject is off, and in what way: one visit is changed, and that one is named."""

import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from image_samples import transform
from nextscan.cohort.findings import Finding
from nextscan.describing.images.check import check_images
from nextscan.images.files import write_image
from nextscan.reading import read_cohort

pytestmark = pytest.mark.minutes

SHAPE = (44, 52, 48)
STEP = 4.0
AFFINE = np.array([[STEP, 0, 0, -88], [0, STEP, 0, -104], [0, 0, STEP, -96], [0, 0, 0, 1]])
Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@functools.cache
def head(subject: int, visit: int) -> np.ndarray:
    """Make a head that is nearly symmetric, as heads are, with a face, a neck, and air with noise around it."""
    points = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    x, y, z = np.moveaxis(points, -1, 0)
    rng = np.random.default_rng(subject)
    folds = gaussian_filter(rng.normal(size=SHAPE), 1.6)
    folds = folds + folds[::-1] + 0.7 * gaussian_filter(rng.normal(size=SHAPE), 1.6)
    brain = (x / 66) ** 2 + (y / 80) ** 2 + ((z - 12) / 62) ** 2
    face = (x / 45) ** 2 + ((y - 58) / 32) ** 2 + ((z + 40) / 38) ** 2 < 1
    face |= (x**2 + (y + 5) ** 2 < 46**2) & (z < -30)
    image = np.where(brain < 1.25, 500.0, np.where(face, 350.0, 0.0))
    image = np.where(brain < 1, 620 + 1500 * folds, image)
    image -= (90 + 30 * visit) * np.exp(-((x - 9) ** 2 + y**2 + (z - 15) ** 2) / 260)
    image -= (90 + 30 * visit) * np.exp(-((x + 12) ** 2 + (y + 6) ** 2 + (z - 15) ** 2) / 200)
    noise = np.random.default_rng([subject, visit, 7])
    return np.hypot(np.maximum(image, 0) + noise.normal(0, 12, SHAPE), noise.normal(0, 12, SHAPE)).astype(np.float32)


@functools.cache
def unchanged(subject: int, visit: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_image(Path(folder) / "head.nii.gz", head(subject, visit), AFFINE).read_bytes()


def found_in(
    folder: Path, changes: Mapping[int, Change], *, visits: int = 3, subjects: int = 2
) -> dict[str, list[Finding]]:
    """Return findings by code, of subjects of whom the first has visits changed by number."""
    rows = []
    for subject in range(subjects):
        for visit in range(visits):
            path = folder / f"s{subject}_{visit}.nii.gz"
            if subject == 0 and visit in changes:
                write_image(path, *changes[visit](head(subject, visit), AFFINE))
            else:
                path.write_bytes(unchanged(subject, visit))
            rows.append({"subject": f"s{subject}", "visit": f"v{visit}", "years": visit, "volume": path.name})
    pd.DataFrame(rows).to_csv(folder / "t.csv", index=False)
    codes: dict[str, list[Finding]] = {}
    for finding in check_images(read_cohort(folder / "t.csv")):
        codes.setdefault(finding.code, []).append(finding)
    return codes


def moved(*angles: float, by: tuple[float, float, float] = (0, 0, 0)) -> Change:
    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_euler("xyz", angles or (0, 0, 0), degrees=True).as_matrix()
        matrix[:3, 3] = by
        return data, matrix @ affine

    return change


def mirrored(axis: int) -> Change:
    return lambda data, affine: (np.flip(data, axis), affine)


def reordered(*order: int) -> Change:
    """Return an array whose axes run along those numbered of the header, which stays as it was."""

    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        data = data.transpose([abs(axis) - 1 for axis in order])
        return np.ascontiguousarray(np.flip(data, [i for i, axis in enumerate(order) if axis < 0])), affine

    return change


def zeroed(x: slice, y: slice, z: slice) -> Change:
    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        data = data.copy()
        data[x, y, z] = 0
        return data, affine

    return change


def cropped(z: slice) -> Change:
    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        affine = affine.copy()
        affine[:3, 3] += affine[:3, 2] * (z.start or 0)
        return data[:, :, z], affine

    return change


def stretched(*factors: float) -> Change:
    return lambda data, affine: (data, np.diag([*factors, 1.0]) @ affine)


def resampled(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Store the same head with other axes: nothing to tell but the orientation."""
    turned = affine[:, [2, 0, 1, 3]].copy()
    turned[:, 3] += turned[:, 0] * (data.shape[2] - 1)
    turned[:, 0] *= -1
    return np.ascontiguousarray(data.transpose(2, 0, 1)[::-1]), turned


FACE = zeroed(slice(None), slice(36, None), slice(0, 20))
TURNED = [moved(0, 0, 10), moved(10, 0, 0), moved(0, -10, 0), moved(4, -5, 3, by=(5, -4, 6))]
WARNED = [
    *(("not-registered", change) for change in (*TURNED, moved(by=(0, 14, 0)), moved(by=(300, 0, 0)))),
    *(("flipped", mirrored(axis)) for axis in range(3)),
    *(("axes-differ", reordered(*order)) for order in ((1, 3, -2), (2, 1, 3), (-1, -2, 3), (3, 1, 2))),
    *(("wrong-size", stretched(*factors)) for factors in ((1.08, 1.08, 1.08), (0.9, 0.9, 0.9), (1.0, 1.0, 1.1))),
    ("uneven-removal", FACE),
    ("uneven-removal", zeroed(slice(None), slice(None), slice(36, None))),
    ("uneven-view", cropped(slice(0, 38))),
    ("little-overlap", cropped(slice(20, None))),
]


@pytest.mark.parametrize(
    ("code", "change", "visits", "which"),
    [
        *((code, change, 3, 1) for code, change in WARNED),
        *(
            (code, change, visits, which)
            for code, change in (WARNED[0], WARNED[6], WARNED[9], WARNED[13], WARNED[16])
            for visits, which in ((2, 1), (3, 0), (4, 1), (4, 3))
        ),
    ],
)
def test_the_visit_that_is_off_is_named_and_no_other(
    tmp_path: Path, code: str, change: Change, visits: int, which: int
) -> None:
    found = found_in(tmp_path, {which: change}, visits=visits, subjects=1)
    warned = {name: findings for name, findings in found.items() if findings[0].level == "warning"}
    assert set(warned) == {code}
    (finding,) = warned[code]
    assert finding.subjects == ("s0",)
    assert [visit for visit in range(visits) if f"s0 v{visit}" in finding.text] == [which]


def test_with_two_visits_the_later_is_compared_with_the_first(tmp_path: Path) -> None:
    found = found_in(tmp_path, {0: moved(0, 0, 10)}, visits=2)
    assert found["not-registered"][0].text.startswith("visits that do not lie on the subject's first: 1 (s0 v1")
    turned = found["not-registered"][0].text.partition("turned ")[2]
    assert float(turned.partition("°")[0]) == pytest.approx(10, abs=1)


def test_where_all_differ_the_first_is_taken_as_it_is(tmp_path: Path) -> None:
    found = found_in(tmp_path, {1: moved(0, 0, 12), 2: moved(by=(0, 15, 0))})
    text = found["not-registered"][0].text
    assert "the subject's first: 2 (s0 v1 (" in text
    assert "s0 v2 (" in text
    assert "s1" not in text


def test_the_side_of_a_mirrored_head_is_named_whatever_the_order_of_axes(tmp_path: Path) -> None:
    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return resampled(data[::-1], affine)

    (finding,) = found_in(tmp_path, {1: change})["flipped"]
    assert "1 (s0 v1 (left and right, its second axis))" in finding.text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (FACE, "s0 v1 (lacks "),
        (zeroed(slice(None), slice(None), slice(36, None)), "% at the top)"),
        (zeroed(slice(None), slice(36, None), slice(0, 20)), "% at the front"),
    ],
)
def test_what_was_removed_is_told_with_its_place(tmp_path: Path, change: Change, says: str) -> None:
    (finding,) = found_in(tmp_path, {1: change}, subjects=1)["uneven-removal"]
    assert says in finding.text


def test_a_neck_that_one_visit_shows_less_of_is_a_note(tmp_path: Path) -> None:
    found = found_in(tmp_path, {2: cropped(slice(5, None))})
    assert {code: findings[0].level for code, findings in found.items()} == {
        "uneven-neck": "note",
        "shape-differs": "note",
    }
    assert "1 (s0 v2 (lacks" in found["uneven-neck"][0].text


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ((1, 3, -2), "a quarter turn about its first axis, left to right"),
        ((-2, 1, 3), "a quarter turn about its third axis, bottom to top"),
        ((3, 2, 1), "its first and third axis swapped"),
        ((-1, 2, -3), "half a turn about its second axis, back to front"),
        ((3, 1, 2), "its axes run along the third, first and second of the header"),
    ],
)
@pytest.mark.parametrize("visits", [2, 3])
def test_what_became_of_the_axes_is_said(tmp_path: Path, order: tuple[int, ...], says: str, visits: int) -> None:
    found = found_in(tmp_path, {1: reordered(*order)}, visits=visits, subjects=1)
    (finding,) = found["axes-differ"]
    assert f"array in another order or direction: 1 (s0 v1 ({says}));" in finding.text
    assert "flipped" not in found
    assert "not-registered" not in found


@pytest.mark.parametrize("sizes_move_along", [True, False])
def test_axes_are_found_where_voxels_are_no_cubes(tmp_path: Path, sizes_move_along: bool) -> None:
    def thick(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return data[:, :, ::2], affine @ np.diag([1, 1, 2, 1])

    def turned(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        data, affine = thick(data, affine)
        data, affine = reordered(3, 2, 1)(data, affine)
        return data, affine @ np.diag([2, 1, 0.5, 1]) if sizes_move_along else affine

    (finding,) = found_in(tmp_path, {0: thick, 1: turned, 2: thick}, subjects=1)["axes-differ"]
    assert "s0 v1 (its first and third axis swapped)" in finding.text


def ages(folder: Path, first: float) -> dict[str, list[Finding]]:
    """Look again at a table with ages."""
    table = pd.read_csv(folder / "t.csv")
    table.assign(age=first + table["years"]).to_csv(folder / "t.csv", index=False)
    found: dict[str, list[Finding]] = {}
    for finding in check_images(read_cohort(folder / "t.csv")):
        found.setdefault(finding.code, []).append(finding)
    return found


GROWS: dict[int, Change] = {1: stretched(1.05, 1.06, 1.05), 2: stretched(1.1, 1.1, 1.12)}
SHRINKS: dict[int, Change] = {1: stretched(1.12, 1.12, 1.12)}


@pytest.mark.parametrize(
    ("changes", "age", "level"),
    [(GROWS, 7.0, "note"), (GROWS, 40.0, "warning"), (SHRINKS, 7.0, "warning"), (SHRINKS, 40.0, "warning")],
)
def test_a_child_s_head_may_grow_and_no_head_shrinks(
    tmp_path: Path, changes: dict[int, Change], age: float, level: str
) -> None:
    found_in(tmp_path, changes, subjects=1)
    found = ages(tmp_path, age)
    (finding,) = found.pop("size-differs" if level == "note" else "wrong-size")
    assert finding.level == level
    assert set(found) == {"spacing-differs"}
    named = [visit for visit in range(3) if f"s0 v{visit}" in finding.text]
    assert named == ([1] if changes is SHRINKS else [1, 2] if level == "note" else named)


def test_a_head_that_is_longer_one_way_only_did_not_grow(tmp_path: Path) -> None:
    found_in(tmp_path, {1: stretched(1, 1, 1.12), 2: stretched(1, 1, 1)}, subjects=1)
    (finding,) = ages(tmp_path, 7.0)["wrong-size"]
    assert "s0 v1 (1.1" in finding.text
    assert "times from bottom to top)" in finding.text


@pytest.mark.parametrize("scale", [0.55, 1.0])
def test_without_ages_small_heads_may_grow(tmp_path: Path, scale: float) -> None:
    every = {visit: stretched(*([scale * (1 + 0.08 * visit)] * 3)) for visit in range(3)}
    found = found_in(tmp_path, every, subjects=1)
    assert ("size-differs" in found, "wrong-size" in found) == (scale < 1, scale == 1)


def test_where_most_grow_nobody_s_growth_is_a_mistake(tmp_path: Path) -> None:
    found_in(tmp_path, {}, visits=2, subjects=4)
    for subject in range(4):
        path = tmp_path / f"s{subject}_1.nii.gz"
        write_image(path, head(subject, 1), np.diag([1.06, 1.06, 1.06, 1]) @ AFFINE)
    found = {finding.code: finding for finding in check_images(read_cohort(tmp_path / "t.csv"))}
    assert found["size-differs"].subjects == ("s0", "s1", "s2", "s3")
    assert "wrong-size" not in found


def test_real_fetal_brains_grow(shared_data: Path, tmp_path: Path) -> None:
    weeks = {"a": [f"GA{week}_notoperated" for week in range(21, 26)], "b": [f"GA{w}_operated" for w in range(25, 35)]}
    rows = [
        {"subject": subject, "visit": name[:4], "years": int(name[2:4]) / 52, "volume": path}
        for subject, names in weeks.items()
        for name in names
        if (path := shared_data / "volumes/fetal_atlas" / f"fetal_SB_atlas_{name}" / "srr.nii.gz").is_file()
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    codes = {finding.code: finding.level for finding in check_images(read_cohort(tmp_path / "t.csv"))}
    assert codes["size-differs"] == "note"
    assert "wrong-size" not in codes


INNOCENT: list[dict[int, Change]] = [
    {},
    {visit: FACE for visit in range(3)},  # defaced alike
    {visit: cropped(slice(0, 40)) for visit in range(3)},
    {visit: moved(0, 0, 10) for visit in range(3)},  # turned alike
    {1: moved(1, -1.5, 1, by=(1, -1, 1.5))},  # a head never lies the same way
    {1: cropped(slice(0, 46))},  # air
    {2: lambda data, affine: (3.1 * data + 40, affine)},  # another gain
    {1: lambda data, affine: (gaussian_filter(data, 0.8), affine)},
    {1: lambda data, affine: (data + np.random.default_rng(5).normal(0, 60, SHAPE).astype(np.float32), affine)},
    {1: lambda data, affine: (np.where(data < 40, 0, data), affine)},  # air set to zero
    {1: resampled},
]


@pytest.mark.parametrize("changes", INNOCENT)
def test_innocent_differences_raise_no_warning(tmp_path: Path, changes: dict[int, Change]) -> None:
    found = found_in(tmp_path, changes, subjects=1)
    warned = {code for code, findings in found.items() if findings[0].level == "warning"}
    assert warned <= {"orientation-differs"}
    assert not {"uneven-neck", "size-differs", "wrong-size"} & set(found)


def test_another_contrast_does_not_pass_for_a_head_that_grew(tmp_path: Path) -> None:
    def inverted(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.where(data > 100, 1300 - data, data), affine

    found = found_in(tmp_path, {1: inverted}, subjects=1)
    assert set(found) == {"not-registered"}
    assert "1 (s0 v1 (correlation " in found["not-registered"][0].text


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_symmetric_head_is_not_called_mirrored(tmp_path: Path, symmetric: bool) -> None:
    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return ((data + data[::-1]) / 2 if symmetric else data), affine

    assert not found_in(tmp_path, {0: change, 1: change, 2: change}, subjects=1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (stretched(0.1, 0.1, 0.1), "mm)"),  # centimetres taken for millimetres
        (stretched(1, 1, 0.12), "mm)"),  # slices of another thickness
        (stretched(5, 5, 5), "mm)"),
        (stretched(0.001, 0.001, 0.001), "below 0.1 or above 12 mm"),
    ],
)
def test_a_head_of_impossible_size_is_told(tmp_path: Path, change: Change, says: str) -> None:
    found = found_in(tmp_path, {visit: change for visit in range(3)})
    named = [finding.text for code in ("odd-size", "odd-spacing") for finding in found.get(code, [])]
    assert any(says in text and "s0 v0" in text for text in named)
    assert not any("s1" in text for text in named)


def test_a_slab_is_no_flat_head(tmp_path: Path) -> None:
    found = found_in(tmp_path, {visit: cropped(slice(22, 30)) for visit in range(3)})
    assert found == {}


def test_transforms_that_cannot_be_read_are_told_as_such(tmp_path: Path) -> None:
    found_in(tmp_path, {})
    table = pd.read_csv(tmp_path / "t.csv")
    for row, name in enumerate(table["volume"]):
        transform(tmp_path / f"{name}.txt")
        table.loc[row, "transform"] = f"{name}.txt"
    (tmp_path / "s0_1.nii.gz.txt").write_text("# of another program\n")
    (tmp_path / "s1_2.nii.gz.txt").write_text("#Insight Transform File V1.0\nTransform: Affine\n")
    table.to_csv(tmp_path / "t.csv", index=False)
    found = check_images(read_cohort(tmp_path / "t.csv"))
    assert [(finding.code, finding.subjects) for finding in found] == [
        ("unusable-transform", ("s0",)),
        ("unusable-transform", ("s1",)),
    ]
    assert "s0_1.nii.gz.txt (s0 v1): is no affine transform in ITK's text format" in found[0].text
