"""ITK text transforms: each kind against an independent formula, and what is refused."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscan.errors import ImageError
from nextscan.images.transforms import read_transform

MAGIC = b"#Insight Transform File V1.0\n"
TURN = np.diag([-1.0, -1.0, 1.0])
CENTRE = np.array([3.0, -7.0, 12.0])
SHIFT = np.array([1.5, -2.0, 4.0])
ANGLES = np.array([0.1, -0.25, 0.4])


def written(path, kind, parameters, fixed=CENTRE):
    numbers = {"Parameters": parameters, "FixedParameters": fixed}
    lines = [f"{key}: {' '.join(map(str, values))}\n" for key, values in numbers.items()]
    path.write_text(f"{MAGIC.decode()}#Transform 0\nTransform: {kind}\n{''.join(lines)}")
    return path


def moved(linear, point, shift=SHIFT, centre=CENTRE):
    """Apply the transform to a point in RAS by ITK's formula in LPS."""
    lps = TURN @ point
    return TURN @ (linear @ (lps - centre) + shift + centre)


LINEAR = np.array([[1.1, 0.02, -0.1], [0.0, 0.95, 0.2], [0.05, -0.1, 1.0]])
QUATERNION = Rotation.from_rotvec([0.2, -0.1, 0.3]).as_quat()


@pytest.mark.parametrize(
    ("kind", "parameters", "fixed", "linear"),
    [
        ("MatrixOffsetTransformBase_double_3_3", [*LINEAR.ravel(), *SHIFT], CENTRE, LINEAR),
        ("AffineTransform_float_3_3", [*LINEAR.ravel(), *SHIFT], CENTRE, LINEAR),
        ("Euler3DTransform_double_3_3", [*ANGLES, *SHIFT], CENTRE, None),
        ("Euler3DTransform_double_3_3", [*ANGLES, *SHIFT], [*CENTRE, 1], "zyx"),
        ("VersorRigid3DTransform_double_3_3", [*QUATERNION[:3], *SHIFT], CENTRE, Rotation.from_quat(QUATERNION)),
        ("TranslationTransform_double_3_3", SHIFT, [], np.eye(3)),
    ],
)
def test_points_of_the_common_space_go_where_itk_sends_them(tmp_path, kind, parameters, fixed, linear):
    if linear is None:  # turns about y, then x, then z
        linear = Rotation.from_euler("yxz", ANGLES[[1, 0, 2]]).as_matrix()
    elif isinstance(linear, str):
        linear = Rotation.from_euler("xyz", ANGLES).as_matrix()
    elif isinstance(linear, Rotation):
        linear = linear.as_matrix()
    matrix = read_transform(written(tmp_path / "t.txt", kind, parameters, fixed))
    point = np.array([10.0, 20.0, -30.0])
    np.testing.assert_allclose(matrix[:3, :3] @ point + matrix[:3, 3], moved(linear, point), atol=1e-12)


def test_identity_and_numbers_of_an_empty_line(tmp_path):
    np.testing.assert_array_equal(
        read_transform(written(tmp_path / "t.txt", "IdentityTransform_double_3_3", [], [])), np.eye(4)
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"\x00\x01binary", "no affine transform in ITK's text format"),
        (MAGIC + b"#" * 70000, "no affine transform in ITK's text format"),
        (MAGIC + b"#Transform 0\n", "no line Transform: it was cut short"),
        (MAGIC + b"Transform: AffineTransform_double_3_3\n", "no line Parameters"),
        (MAGIC + b"Transform: AffineTransform_double_3_3\nParameters: 1 0 x\n", "not all numbers"),
        (MAGIC + b"Transform: AffineTransform_double_3_3\nParameters: 1 0 0\n", "has 3 and 0"),
        (MAGIC + b"Transform: BSplineTransform_double_3_3\nParameters: 1\n", "BSplineTransform"),
        (MAGIC + b"Transform: AffineTransform_double_2_2\nParameters: 1\n", "three dimensions"),
        (
            MAGIC + 2 * b"Transform: TranslationTransform_double_3_3\nParameters: 1 2 3\n",
            "2 transforms, expected one",
        ),
        (
            MAGIC + b"Transform: TranslationTransform_double_3_3\nParameters: 1 nan 3\n",
            "not finite",
        ),
        (
            MAGIC + b"Transform: AffineTransform_double_3_3\nParameters: 1 0 0 0 1 0 0 0 0 0 0 0\n",
            "flattens space",
        ),
    ],
)  # fmt: skip
def test_what_is_no_affine_transform_is_refused_in_one_line(tmp_path, content, says):
    path = tmp_path / "t.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=says) as error:
        read_transform(path, where="sub-01 ses-02")
    assert str(path) in str(error.value)
    assert "sub-01 ses-02" in str(error.value)
    assert "\n" not in str(error.value)
