import base64
import gzip
import re
import struct

import numpy as np

from image_runs import head_of, write_images
from nextscan.report.run_folder import read_run
from nextscan.report.sections.volumes import planes
from nextscan.report.volumes.examples import PredictedSeries, VolumeExample, read_examples
from nextscan.report.volumes.viewer import viewer


def unpacked(text):
    data = gzip.decompress(base64.b64decode(text))
    shape = struct.unpack_from("<3h", data, 42)
    _, slope, low = struct.unpack_from("<fff", data, 108)
    return np.frombuffer(data[352:], np.uint8).reshape(shape, order="F") * slope + low


def test_the_viewer_holds_every_time_and_image(image_run_folder):
    examples = read_run(image_run_folder).examples
    fragment = viewer(examples, "volume-diffusion", name="volume diffusion")
    html = str(fragment.html)
    told = head_of(html)["subjects"]
    assert told[0]["times"] == ["0 years", "0.5 years", "1 year", "2 years", "2.03 years", "5 years"]
    assert told[0]["start"] == 4
    assert told[1]["times"] == ["3.03 years"]
    images = told[0]["images"]
    positions = [images["source"], *images["changes"], *images["sds"], images["real"], images["realChange"]]
    known = [k for k in positions if k is not None]
    assert sorted(known) == list(range(len(known)))
    assert [k is not None for k in images["sds"]] == [False] * 4 + [True, False]
    packed = dict(re.findall(r'data-image="([\d-]+)">([^<]*)</script>', html))
    assert len(packed) == len(known) + 5
    change = unpacked(packed[f"0-{images['changes'][5]}"])
    grid = examples[0].grid
    mean = grid.apply(examples[0].predicted["volume-diffusion"].mean[5] - examples[0].source)
    assert change.shape == mean.shape
    limit = told[0]["limits"]["change"]
    np.testing.assert_allclose(change, np.clip(mean, -2 * limit, 2 * limit * 128 / 127), atol=2 * limit / 255 + 0.01)


def test_uncertainty_follows_the_slider_where_it_was_kept_over_time(tmp_path):
    (example,) = read_examples(write_images(tmp_path, subjects=1, spread_over_time=True))
    html = str(viewer([example], "volume-diffusion", name="volume diffusion").html)
    (told,) = head_of(html)["subjects"]
    packed = dict(re.findall(r'data-image="([\d-]+)">([^<]*)</script>', html))
    spread = [unpacked(packed[f"0-{k}"]).mean() for k in told["images"]["sds"]]
    assert len(spread) == len(told["times"]) == 6
    assert (np.diff(spread) > 0).all()


def test_images_become_coarser_when_the_page_must_stay_small(image_run_folder):
    examples = read_run(image_run_folder).examples
    sizes = []
    for budget in (7_500_000, 100_000):
        html = str(viewer(examples, "volume-diffusion", name="m", budget=budget).html)
        sizes.append((sum(map(len, re.findall(r'data-image="[\d-]+">([^<]*)<', html))), head_of(html)["subjects"][0]))
    (large, fine), (small, coarse) = sizes
    assert fine["coarser"] == 1
    assert coarse["coarser"] > 1
    assert small <= 100_000 < large
    assert coarse["point"] == fine["point"]


def test_times_that_are_unknown_are_the_next_visit(image_run_folder):
    first = read_run(image_run_folder).examples[0]
    mean = first.predicted["copy-source"].mean
    series = PredictedSeries(np.array([np.nan]), mean, [None])
    example = VolumeExample("sub-01", first.affine, first.source, {"copy-source": series})
    told = head_of(str(viewer([example], "copy-source", name="copy").html))["subjects"][0]
    assert told["times"] == ["next visit"]
    assert "later" not in planes(example, "copy-source", name="p").caption


def test_a_copy_is_shown_through_the_middle_and_its_change_is_zero(image_run_folder):
    first = read_run(image_run_folder).examples[0]
    series = PredictedSeries(np.array([1.0]), first.source[None], [None])
    example = VolumeExample("sub-01", first.affine, first.source, {"copy-source": series})
    caption = planes(example, "copy-source", name="p").caption
    assert "through the middle (" in caption
    assert "as nothing changes" in caption
    html = str(viewer([example], "copy-source", name="copy").html)
    (told,) = head_of(html)["subjects"]
    packed = dict(re.findall(r'data-image="([\d-]+)">([^<]*)</script>', html))
    np.testing.assert_allclose(unpacked(packed[f"0-{told['images']['changes'][0]}"]), 0, atol=1e-5)
