"""The shape of the package: layers, what importing costs, file lengths, and what a wheel holds."""

import graphlib
import importlib
import pkgutil
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import grimp
import pytest

import nextscan

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src" / "nextscan").rglob("*.py"))
MODULES = sorted(module.name for module in pkgutil.walk_packages(nextscan.__path__, "nextscan."))
ROOMS = {
    *("cohort", "images", "reading", "describing", "simulating", "writing", "preprocess", "diffusion"),
    *("networks", "training", "imputers", "metrics", "study", "report", "cli"),
}
MOST_FILES = 18  # side by side in a folder


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def within(seconds: float, code: str) -> bool:
    """Tell whether one of five runs needs less of the processor: what other work on the machine adds is not ours."""

    def needed() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert python(code).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return any(needed() < seconds for _ in range(5))


def test_rooms_import_only_what_the_design_allows():
    done = python("from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache", "--no-logo")
    assert done.returncode == 0, done.stdout


def test_no_two_files_import_each_other_in_a_circle():
    graph = grimp.build_graph("nextscan", cache_dir=None)
    graphlib.TopologicalSorter(
        {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    ).prepare()


def test_folders_stay_small_and_their_files_do_not_repeat_their_name():
    folders = sorted({path.parent for path in SOURCES})
    assert len(folders) > 20
    assert {folder.name: n for folder in folders if (n := len(list(folder.glob("*.py")))) > MOST_FILES} == {}
    assert [path.name for path in SOURCES if path.name.startswith(f"{path.parent.name}_")] == []


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_says_what_it_is(name):
    assert importlib.import_module(name).__doc__


def test_every_public_name_exists():
    assert {"read_cohort", "Secondgram", "evaluate"} <= set(nextscan.__all__)
    assert [name for name in nextscan.__all__ if getattr(nextscan, name, None) is None] == []


def test_modules_are_found_in_every_room():
    found = {name.split(".")[1] for name in MODULES}
    assert found - {name for name in found if (ROOT / "src" / "nextscan" / f"{name}.py").exists()} == ROOMS


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES if path.parent.name != "nextscan"}))
def test_every_folder_says_in_a_sentence_what_it_is_for(folder):
    assert (ROOT / folder / "__init__.py").read_text().startswith('"""')


@pytest.mark.parametrize("room", ["cohort", "reading", "describing", "writing", "metrics", "report", "cli.main"])
def test_importing_does_not_load_torch(room):
    code = f"import sys, nextscan.{room}; sys.exit('torch' in sys.modules)"
    done = python(code)
    assert done.returncode == 0, done.stderr or f"importing nextscan.{room} loads torch"


def test_importing_nextscan_is_quick():
    assert within(0.5, "import sys, nextscan; assert 'torch' not in sys.modules")


def test_help_is_quick():
    assert within(1.0, "from nextscan.cli.main import run; raise SystemExit(run(['--help']))")


def test_help_needs_no_tables():
    done = python(
        "import sys\nfrom nextscan.cli.main import run\nrun(['--help'])\n"
        "sys.exit(bool({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    assert done.returncode == 0, "nextscan --help loads numpy, pandas or pyarrow"


def test_source_files_stay_short():
    assert len(SOURCES) > 20
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length >= 400} == {}


def test_wheel_holds_templates_licences_and_typing_marker(tmp_path):
    done = python("from hatchling.cli import hatchling; hatchling()", "build", "-t", "wheel", "-d", str(tmp_path))
    assert done.returncode == 0, done.stderr
    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    names = wheel.namelist()
    package = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.*") if path.is_file()}
    expected = {name for name in package if "__pycache__" not in name}
    assert "nextscan/py.typed" in expected
    assert {"nextscan/report/assets/niivue.js", "nextscan/report/assets/niivue.LICENSE.txt"} <= expected
    assert expected <= set(names), sorted(expected - set(names))
    told = wheel.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    assert "\nLicense-Expression: Apache-2.0 AND BSD-2-Clause AND ISC AND MIT\n" in told
    assert {line for line in told.splitlines() if line.startswith("License-File: ")} == {
        "License-File: LICENSE",
        "License-File: src/nextscan/report/assets/niivue.LICENSE.txt",
    }
