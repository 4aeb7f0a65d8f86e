"""The corpus: what is wrong, the command that meets it, and what its one line must say."""

import shlex
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bad_inputs.tables import (
    Maker,
    both,
    calibrated,
    cell,
    changed,
    cut,
    document,
    good,
    model,
    nothing,
    parquet,
    raw,
    schema,
    text,
    without,
    without_file,
)


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes
    ----------
    name : str
    make : callable
        Writes the files into the folder in which the command runs.
    command : str
        Without ``nextscan``.
    says : str
        Part of the line on stderr (or of the description): the place and what to do.
    warns : bool
        The command goes on and lists what was found in the table, as documented.
    """

    name: str
    make: Maker
    command: str
    says: str
    warns: bool = False

    @property
    def arguments(self) -> list[str]:
        return shlex.split(self.command)


READ = "describe table.csv"
WITH_SCHEMA = "describe table.csv --schema schema.toml"
POOLED = "describe table.csv --unpaired other.csv"
FIT = "fit table.csv --method feature-regression --out fitted"
CALIBRATE = "fit table.csv --method mean-change --conformal --out fitted"
IMPUTE = "impute model table.csv --out completed.csv"
EVALUATE = "evaluate table.csv --methods ridge --folds 2 --out run"
FEATURES = ["lh_hippocampus", "rh_hippocampus", "lh_thickness", "rh_thickness"]


def _four_pairs(table: pd.DataFrame) -> pd.DataFrame:
    return table[~table.participant_id.between("sub-04", "sub-11")]


def _first_visits(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["visit"] == 1]


def _other(change: object) -> Maker:
    """Write the good table, and beside it a changed copy of its first five first visits."""
    return both(good, changed(lambda table: change(_first_visits(table).head(5)), "other.csv"))


TABLES = [
    Case("table is missing", nothing, READ, "table.csv: cannot be read: No such file"),
    Case("table is empty", text(""), READ, "table.csv: the file is empty; expected a table with a header line"),
    Case("table is blank lines", text("\n\n\n"), READ, "table.csv: the file is empty"),
    Case("table is only a header", text("participant_id,visit,a\n"), READ, "a header and no rows"),
    Case(
        "wrong delimiter",
        text("participant_id^visit^a\ns1^1^2.5\n"),
        READ,
        "only one column, 'participant_id^visit^a'; expected columns separated by comma, tab, semicolon",
    ),
    Case(
        "delimiter changes", text("participant_id,visit,a\ns1;1;2.5\n"), READ, "line 2: 1 cells where the header has 3"
    ),
    Case("row too long", text("participant_id,visit,a\ns1,1,2,9\n"), READ, "line 2: 4 cells where the header has 3"),
    Case("quote never closed", text('participant_id,visit,a\n"s1,1,2\n'), READ, "line 2: 1 cells where the header"),
    Case("column name twice", text("participant_id,visit,a,a\ns1,1,2,3\n"), READ, "column names appear twice: a"),
    Case("spreadsheet", raw(b"PK\x03\x04\x00" * 50, "table.xlsx"), "describe table.xlsx", "is not a whole Excel"),
    Case("binary named CSV", raw(bytes(range(256)) * 9), READ, "is a binary file, or damaged"),
    Case("UTF-16", raw("participant_id,visit,a\ns,1,2\n".encode("utf-16-le")), READ, 'encoding = "utf-16-le"'),
    Case("no encoding", raw(b"participant_id,visit,gr\x81\xdfe\ns,1,2\n"), READ, "is not UTF-8 text"),
    Case("Parquet cut short", both(parquet, cut("table.parquet")), "describe table.parquet", "truncated?"),
    Case("folder without tables", lambda f: (f / "in").mkdir(), "describe in", "no FreeSurfer tables in this folder"),
    Case("no subject column", without("participant_id"), READ, "no subject column; expected a name such as"),
    Case(
        "subject missing in a row", cell("participant_id", 3, None), READ, "line 5, column participant_id: the subject"
    ),
    Case("subject rounded by a spreadsheet", cell("participant_id", 0, "1.0E+06"), READ, "looks like a rounded number"),
    Case("visit missing in a row", cell("visit", 3, None), READ, "line 5, column visit: the visit is missing"),
    Case("no feature columns", without(*FEATURES), READ, "no column of numbers is left to serve as a feature"),
    Case("all features missing", changed(lambda t: t.assign(**dict.fromkeys(FEATURES))), READ, "no column of numbers"),
    Case(
        "same visit twice with different values",
        changed(lambda t: pd.concat([t, t.iloc[[1]].assign(lh_thickness=2.0)])),
        READ,
        "subject sub-00 has visit 2 twice with different values (line 3 and line 32; lh_thickness",
    ),
    Case(
        "same visit twice with the same values",
        changed(lambda t: pd.concat([t, t.iloc[[1]]])),
        READ,
        "table.csv, line 32: subject sub-00 repeats an earlier row; 1 such row left out",
        warns=True,
    ),
    Case("text in a numeric cell", cell("lh_thickness", 3, "thick"), READ, "line 5, column lh_thickness: expected a"),
    Case("unit in a numeric cell", cell("lh_thickness", 3, "2.5mm"), READ, "expected a number, found '2.5mm'"),
    Case("decimal comma", cell("lh_thickness", 3, "2,5"), READ, "expected a number, found '2,5'"),
    Case("infinite value", cell("lh_thickness", 3, "inf"), READ, "line 5, column lh_thickness: the value is infinite"),
    Case("value too large", cell("lh_thickness", 3, "1e400"), READ, "the value is infinite"),
    Case("negative years", cell("years", 1, -2.5), READ, "line 3, column years: negative time -2.5"),
    Case(
        "years in words", cell("years", 1, "soon"), READ, "line 3, column years: expected years in years, found 'soon'"
    ),
    Case(
        "impossible date",
        changed(
            lambda t: t.assign(years=np.where(t.visit == 2, "2020-13-45", "2018-01-01")).rename(
                columns={"years": "scan_date"}
            )
        ),
        READ,
        "line 3, column scan_date: '2020-13-45' is not a date",
    ),
    Case(
        "time runs backwards",
        changed(lambda t: t.assign(years=np.where(t.visit == 2, 60.0, 62.0)).rename(columns={"years": "age"})),
        READ,
        "time runs backwards for subject sub-00",
        warns=True,
    ),
]

SEVERAL = [
    Case("unpaired table is missing", good, "describe table.csv --unpaired no.csv", "no.csv: cannot be read"),
    Case(
        "unpaired table shares no feature",
        _other(lambda t: t[["participant_id", "visit"]].assign(area=1.5)),
        POOLED,
        "none is a feature of table.csv",
    ),
    Case(
        "unpaired subjects are others of the same name",
        _other(lambda t: t.assign(lh_thickness=t.lh_thickness + 1)),
        POOLED,
        "other.csv: 5 subjects are in table.csv too, with other scans: sub-00",
    ),
    Case(
        "conflicting codings",
        _other(lambda t: t.assign(participant_id="x" + t.participant_id, sex=[0, 1, 0, 1, 0])),
        POOLED,
        "label sex is coded differently than in table.csv (F/M against 0/1); the label is dropped",
        warns=True,
    ),
    Case("participants file is missing", good, f"{READ} --participants p.tsv", "p.tsv: cannot be read"),
    Case(
        "participants without subjects",
        both(good, text("a\tb\n1\t2\n", "p.tsv")),
        f"{READ} --participants p.tsv",
        "p.tsv: no subject column",
    ),
    Case("schema is missing", good, f"{READ} --schema no.toml", "no.toml: cannot be read"),
    Case("schema is not TOML", schema("subject =\n"), WITH_SCHEMA, "schema.toml: is not valid TOML"),
    Case(
        "unknown schema key",
        schema('subjct = "participant_id"\n'),
        WITH_SCHEMA,
        "schema.toml: unknown key subjct; did you mean subject? there are subject, visit, time",
    ),
    Case(
        "schema value of the wrong kind", schema("features = 3\n"), WITH_SCHEMA, "schema.toml: features: Input should"
    ),
    Case(
        "schema names no column",
        schema('subject = "partcipant_id"\n'),
        WITH_SCHEMA,
        "schema.toml, subject: table.csv has no column partcipant_id; did you mean participant_id?",
    ),
    Case("schema pattern fits nothing", schema('features = ["hippo*"]\n'), WITH_SCHEMA, "no column fits hippo*"),
    Case("schema pattern is broken", schema('features = ["/(/"]\n'), WITH_SCHEMA, "is not a regular expression"),
    Case("value without a code", schema("[labels.sex]\ncodes = {M = 1}\n"), WITH_SCHEMA, "'F' is not among the codes"),
    Case("excluded feature is not there", good, f"{READ} --exclude eTIV", "table.csv, exclude: no column fits eTIV"),
    Case("everything excluded", good, f"{READ} --exclude '*h_*'", "table.csv, exclude: no feature is left"),
]

METHODS = [
    Case(
        "unknown method",
        good,
        "fit table.csv --method rigde --out fitted",
        "no method named rigde; did you mean ridge?",
    ),
    Case(
        "unknown method in a list", good, f"{EVALUATE} --methods ridge,foo", "no method named foo; there are secondgram"
    ),
    Case("unknown setting", good, f"{FIT} --set shrinkage=1", "feature-regression has no setting shrinkage"),
    Case("setting without a value", good, f"{FIT} --set epochs", "give it as name=value"),
    Case(
        "setting of the wrong type",
        good,
        "fit table.csv --set epochs=many --out fitted",
        "--set epochs=many: input should be a valid integer",
    ),
    Case("setting out of range", good, "fit table.csv --set epochs=0 --out fitted", "epochs"),
    Case("one fold", good, f"{EVALUATE} --folds 1", "n_folds >= 2"),
    Case("more folds than pairs", good, f"{EVALUATE} --folds 40", "12 subjects have two visits, too few for 40 folds"),
    Case("seeds in words", good, f"{EVALUATE} --seeds one", "--seeds: 'one' is not a whole number or a range"),
    Case("one draw to score", good, f"{EVALUATE} --draws 1", "need at least 2, got draws=1"),
    Case("oracle of real data", good, f"{EVALUATE} --methods oracle", "the oracle knows only simulated cohorts"),
    Case("one visit only, to evaluate", changed(_first_visits), EVALUATE, "nobody has two visits with data"),
    Case(
        "one visit only, to fit",
        changed(_first_visits),
        FIT,
        "needs at least 5 pairs of visits to learn from, there are 0",
    ),
    Case(
        "too few pairs for SECONDGRAM",
        changed(lambda t: t[~t.participant_id.between("sub-02", "sub-11")]),
        "fit table.csv --method secondgram --out fitted",
        "secondgram needs at least 10 pairs of visits to learn from, there are",
    ),
    Case(
        "too few pairs for the default",
        changed(lambda t: t[~t.participant_id.between("sub-02", "sub-11")]),
        "fit table.csv --out fitted",
        "anchored needs at least 10 pairs of visits to learn from, there are",
    ),
    Case("no folds to hold out", good, "fit table.csv --set n_folds=1 --out fitted", "n_folds must be at least 2"),
    Case("unknown pool", good, "fit table.csv --set unpaired=some --out fitted", "unpaired must be one of auto, use"),
    Case("validation of more than all", good, f"{FIT} --validation-fraction 2", "'--validation-fraction'"),
    Case(
        "more pairs than people", nothing, "simulate --subjects 5 --pairs 9 --out a.csv", "0 <= n_pairs <= n_subjects"
    ),
    Case("unknown world", nothing, "simulate --world flat --out a.csv", "'flat' is not one of 'linear', 'hard'"),
]

MODELS = [
    Case("model is missing", good, IMPUTE, "model/model.json: not found; model is not a whole model folder"),
    Case("model is a file", both(good, text("", "model")), IMPUTE, "model: cannot be read as a model folder"),
    Case("model without arrays", both(model, without_file("model/arrays.safetensors")), IMPUTE, "not found"),
    Case(
        "model arrays cut short",
        both(model, cut("model/arrays.safetensors")),
        IMPUTE,
        "arrays.safetensors: truncated or changed after it was saved",
    ),
    Case("model document cut short", both(model, cut("model/model.json")), IMPUTE, "cannot be read as a model folder"),
    Case(
        "model tampered with",
        both(model, document(lambda d: d["state"].update(units={}))),
        IMPUTE,
        "model.json: was changed after it was saved",
    ),
    Case("model of another format", both(model, document(lambda d: d.update(format=99))), IMPUTE, "format 99 is not"),
    Case(
        "table lacks features of the model",
        both(model, without("rh_thickness", "lh_thickness")),
        IMPUTE,
        "lacks 2 of the 4 features the model was fitted on: lh_thickness, rh_thickness",
    ),
    Case(
        "table in other units",
        both(model, text('[units]\n"*_hippocampus" = "ml"\n', "table.toml")),
        IMPUTE,
        "feature lh_hippocampus is in ml, the model was fitted in mm3",
    ),
    Case(
        "nobody to impute",
        both(model, changed(lambda t: t[t.participant_id < "sub-12"])),
        IMPUTE,
        "every subject has a follow-up and no row asks for another visit; ask for times",
    ),
    Case("too few draws for the level", model, f"{IMPUTE} --draws 10", "a 90% interval needs at least 19 draws"),
    Case(
        "conformal intervals of a model without",
        model,
        f"{IMPUTE} --interval conformal",
        "call calibrate after fit (nextscan fit --conformal)",
    ),
    Case("groups without conformal intervals", model, f"{IMPUTE} --by sex", "--by sex is for conformal intervals; add"),
    Case("intervals of an unknown kind", model, f"{IMPUTE} --interval wide", "Invalid value for '--interval'"),
    Case(
        "too few pairs to calibrate", changed(_four_pairs), f"{CALIBRATE}", "4 subjects have two visits, too few for 5"
    ),
    Case(
        "too few held-out pairs for the level",
        calibrated,
        f"{IMPUTE} --interval conformal --level 0.95",
        "a 95% conformal interval needs at least 19 held-out subjects, there are 12; ask for a lower level",
    ),
    Case(
        "too few held-out pairs of a group",
        calibrated,
        f"{IMPUTE} --interval conformal --level 0.9 --by sex",
        "for subject sub-12 needs at least 9 held-out subjects with sex F, there are 6; leave by out",
    ),
    Case(
        "groups by a label that is not there",
        calibrated,
        f"{IMPUTE} --interval conformal --by site",
        "by=site: the calibration knows no such label; there are: sex, gap",
    ),
    Case(
        "fewer draws than calibrated with",
        calibrated,
        f"{IMPUTE} --interval conformal --draws 20",
        "calibrated with 40 draws, there are 20; impute with at least 40 draws",
    ),
    Case("no draws", model, f"{IMPUTE} --draws 0", "'--draws': Input should be greater than or equal to 1"),
    Case("level above one", model, f"{IMPUTE} --level 1.5", "an interval level lies between 0 and 1, got 1.5"),
    Case("years in words", model, f"{IMPUTE} --at-years soon", "--at-years: 'soon' must be numbers of years"),
    Case("infinite years", model, f"{IMPUTE} --at-years 1,inf", "must be finite numbers of years"),
]

OUTPUTS = [
    Case("output in a missing folder", model, "impute model table.csv --out no/c.csv", "there is no folder no"),
    Case("output is a folder", model, "impute model table.csv --out model", "the name must end in .csv"),
    Case("output of an unknown format", model, "impute model table.csv --out c.xlsx", "the name must end in .csv or"),
    Case(
        "output cannot be written", model, "impute model table.csv --out /proc/c.csv", "/proc/c.csv: cannot be written"
    ),
    Case("draws of an unknown format", model, f"{IMPUTE} --save-draws d.npz", "d.npz: the name must end in .csv or"),
    Case("page in a missing folder", good, f"{READ} --html no/page.html", "no/page.html: there is no folder no"),
    Case("page of another format", good, f"{READ} --html page.pdf", "page.pdf: the name must end in .html"),
    Case("cohort of an unknown format", nothing, "simulate --out cohort.rds", "cohort.rds: the name must end in .csv"),
    Case("model in the place of a file", both(good, text("", "fitted")), FIT, "fitted is a file, not a folder"),
    Case(
        "model in the place of another folder",
        both(good, lambda f: (f / "fitted").mkdir(), text("x", "fitted/notes.txt")),
        FIT,
        "fitted: exists and is not a model folder",
    ),
    Case("run in the place of a file", both(good, text("", "run")), EVALUATE, "run is a file, not a folder"),
    Case(
        "run of another cohort",
        both(
            good,
            lambda f: (f / "run").mkdir(),
            text('{"settings": {}, "cohort": {"fingerprint": "x"}}', "run/run.json"),
        ),
        EVALUATE,
        "run: holds an evaluation of another cohort",
    ),
    Case("not a run folder", good, "report .", "run.json"),
    Case("run folder is missing", nothing, "report run", "run"),
    Case(
        "run folder with a broken record",
        both(lambda f: (f / "run").mkdir(), text('{"cohort": ', "run/run.json")),
        "report run",
        "run.json",
    ),
]

USAGE = [
    Case("unknown command", nothing, "imput model table.csv", "No such command 'imput'. Did you mean 'impute'"),
    Case("unknown option", good, f"{READ} --htlm a.html", "No such option: --htlm"),
    Case("argument missing", nothing, "describe", "Missing argument 'TABLE'; see nextscan describe --help"),
    Case("option missing", good, "fit table.csv", "Missing option '--out'"),
    Case(
        "number in words",
        good,
        f"{EVALUATE} --folds many",
        "Invalid value for '--folds': Input should be a valid integer",
    ),
]

CASES = [*TABLES, *SEVERAL, *METHODS, *MODELS, *OUTPUTS, *USAGE]
