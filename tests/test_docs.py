"""What the documentation shows works: the README's Python, every command line, every docstring."""

import inspect
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

import nextscan
from nextscan.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = typer.main.get_command(app).commands


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def command_lines() -> list[str]:
    """Return every `nextscan ...` line of the README and of the help of the commands."""
    taught = [
        *blocks("sh"),
        *(command.help for command in COMMANDS.values()),
        app.registered_callback.callback.__doc__,
    ]
    lines = [line for text in taught for line in re.findall(r"^\s*(nextscan [a-z].*)$", text, re.MULTILINE)]
    return sorted({re.split(r"\s{2,}|\s+#", line)[0] for line in lines})


def test_readme_example_is_short_and_runs(tmp_path, monkeypatch):
    (block,) = blocks("python")
    assert 5 < len([line for line in block.splitlines() if line.strip()]) <= 20
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    low, high = names["result"].interval(0.9)
    assert (low <= high).all()
    assert (names["result"].mean() == nextscan.load("model").impute(names["cohort"], draws=40, seed=7).mean()).all()


@pytest.mark.parametrize("line", command_lines())
def test_command_lines_in_the_documentation_are_valid(line):
    _, name, *arguments = shlex.split(line)
    assert name in COMMANDS
    COMMANDS[name].make_context(name, arguments)


def test_all_commands_are_in_the_documentation():
    assert {line.split()[1] for line in command_lines()} == set(COMMANDS)


def test_readme_schema_is_valid(tmp_path):
    from nextscan.reading.schema import read_schema

    shown = blocks("toml")
    assert shown
    for block in shown:
        (tmp_path / "schema.toml").write_text(block)
        assert read_schema(tmp_path / "schema.toml").model_fields_set == set(tomllib.loads(block))


def test_readme_schema_reads_an_export(tmp_path):
    (block,) = blocks("toml")
    (tmp_path / "ukb.toml").write_text(block)
    (tmp_path / "dictionary.tsv").write_text("FieldID\tField\n25011\tVolume of thalamus (left)\n25735\tSkewness\n")
    (tmp_path / "ukb.csv").write_text(
        "eid,31-0.0,42030-0.0,53-2.0,53-3.0,25011-2.0,25011-3.0,25735-2.0,25735-3.0\n"
        "1000001,0,2015-01-02,2018-03-01,2020-03-01,7500,7400,1.5,1.6\n"
        "1000002,1,,2018-03-01,,7100,,1.4,\n"
    )
    cohort = nextscan.read_cohort(tmp_path / "ukb.csv", tmp_path / "ukb.toml", dictionary=tmp_path / "dictionary.tsv")
    assert cohort.name == "UK Biobank, T1 volumes"
    assert cohort.feature_names == ("Volume of thalamus (left)",)
    assert cohort.units == {"Volume of thalamus (left)": "mm3"}
    assert cohort.labels[["sex", "parkinsonism"]].values.tolist() == [["F", 1.0], ["M", 0.0]]
    assert cohort.years.tolist() == [0.0, pytest.approx(2.0, abs=0.01), 0.0]


def test_readme_names_every_method():
    from nextscan.imputers import imputer_names

    assert [name for name in imputer_names() if f"`{name}`" not in README] == []


@pytest.mark.parametrize("name", sorted(set(nextscan.__all__) - {"__version__", "NextscanError", "NextscanWarning"}))
def test_public_docstrings_name_the_parameters_there_are(name):
    from numpydoc.docscrape import FunctionDoc

    thing = getattr(nextscan, name)
    doc = FunctionDoc(thing) if not inspect.isclass(thing) else FunctionDoc(thing, doc=inspect.getdoc(thing))
    documented = {part.lstrip("*") for entry in doc["Parameters"] for part in re.split(r",\s*", entry.name)}
    unknown = documented - set(inspect.signature(thing).parameters)
    assert doc["Summary"], f"{name} has no docstring"
    assert not unknown, f"the docstring of {name} documents {sorted(unknown)}, which it does not take"


def test_citation_lists_the_three_papers():
    text = (ROOT / "CITATION.cff").read_text()
    for source in ("10.1016/j.patter.2025.101212", "arXiv:2411.05860", "10.1007/978-3-031-34048-2_30"):
        assert source in text
    assert f"version: {nextscan.__version__}" in text


def test_constraints_pin_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {re.split(r"[<>=\[ ]", name)[0] for name in wanted} <= set(pins)
    assert pins["torch"] == "2.13.0"
