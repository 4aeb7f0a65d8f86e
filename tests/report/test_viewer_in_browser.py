"""The viewer in a real browser, from a file and without a network; skipped where there is no Chromium."""

import re
import shutil
import subprocess

import pytest

from nextscan.report.page import render_page
from nextscan.report.run_folder import read_run
from nextscan.report.sections.volumes import volumes

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
PROBE = """<body><script>
document.body.dataset.webgl = Boolean(document.createElement("canvas").getContext("webgl2"));
</script></body>"""
ACT = """<script>
const waiting = setInterval(() => {
  const root = document.getElementById("viewer");
  if (root.dataset.ready !== "yes") return;
  clearInterval(waiting);
  const slider = root.querySelector("[data-years]");
  slider.value = 5;
  slider.dispatchEvent(new Event("input"));
  root.querySelector('[name="viewer-upper"][value="sd"]').click();
}, 50);
</script>"""


@pytest.fixture(scope="module")
def dom(tmp_path_factory):
    """Return a function that opens a page in Chromium and gives back its document after the scripts have run."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here")
    folder = tmp_path_factory.mktemp("browser")

    def opened(text, *, webgl=True):
        page = folder / "page.html"
        page.write_text(text, encoding="utf-8")
        drawing = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
        arguments = [*FLAGS, f"--user-data-dir={folder / 'profile'}", *(drawing if webgl else ["--disable-3d-apis"])]
        arguments += ["--virtual-time-budget=5000", "--dump-dom", page.as_uri()]
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300, check=False)
        return done.stdout

    try:
        if 'data-webgl="true"' not in opened(PROBE):
            pytest.skip("this Chromium has no WebGL")
    except subprocess.TimeoutExpired:
        pytest.skip("this Chromium does not start")
    return opened


@pytest.fixture(scope="module")
def page(image_run_folder):
    return render_page("T", [volumes(read_run(image_run_folder))])


def part(dom, name):
    return re.search(rf"<\w+[^>]*\bdata-{name}\b[^>]*>", dom)[0]


@pytest.mark.minutes
def test_the_viewer_starts_follows_the_slider_and_hides_its_excuse(dom, page):
    end = page.rindex("</body>")
    told = dom(page[:end] + ACT + page[end:])
    assert 'data-ready="yes"' in told
    assert " hidden" in part(told, "status")
    assert re.search(r"data-time[^>]*>5 years<", told)
    readout = re.search(r"data-readout[^>]*>([^<]*)<", told)[1]
    assert re.search(r"source [\d,.]+ · imputed at 5 years [\d,.]+ ", readout)
    assert "real follow-up at 2.03 years" in readout
    assert "No uncertainty was kept at 5 years" in told


@pytest.mark.minutes
def test_without_webgl_the_pictures_stay_and_a_line_says_so(dom, page):
    told = dom(page, webgl=False)
    assert "data-ready" not in part(told, "status")
    assert " hidden" not in part(told, "status")
    assert " hidden" in part(told, "controls")
    assert told.count('data-row="upper" hidden') == 1
    assert "Axial, coronal and sagittal slices of sub-01" in told
