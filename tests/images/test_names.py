import pytest

from nextscan.images.names import image_name


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a/sub-1_space-MNI_desc-preproc_FLAIR.nii.gz", ("space-MNI_", "FLAIR")),
        ("a/study1_FLAIR.nii.gz", ("", "FLAIR")),
        ("a/patient-T1w.nii", ("", "T1w")),
        ("a/pd.nii.gz", ("", "PDw")),
    ],
)
def test_the_contrast_comes_from_the_name_of_the_source(source, expected):
    assert image_name(source) == expected
