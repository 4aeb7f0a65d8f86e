import pytest

from image_runs import head_of, without_scripts
from nextscan.errors import OutputError
from nextscan.report.run_folder import read_run
from nextscan.report.volumes.examples import VolumeExample
from nextscan.report.volumes.page import write_volume_page


def test_a_page_for_imputed_images_needs_no_follow_up(image_run_folder, tmp_path):
    first = read_run(image_run_folder).examples[0]
    series = first.predicted["volume-diffusion"]
    example = VolumeExample("sub-01", first.affine, first.source, {"volume-diffusion": series})
    path = write_volume_page(
        tmp_path / "imputed.html", [example] * 5, method="volume-diffusion", n_subjects=5, colophon=["seed 7"]
    )
    html = path.read_text(encoding="utf-8")
    assert "real follow-up" not in without_scripts(html).lower()
    assert "3 of 5 subjects" in html
    assert "seed 7" in html
    assert html.count("sA.niivue={}") == 1
    assert len(head_of(html)["subjects"]) == 3
    with pytest.raises(OutputError, match="no image imputed by ridge"):
        write_volume_page(tmp_path / "none.html", [example], method="ridge")
