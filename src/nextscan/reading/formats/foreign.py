"""Files of other programs, and the line that makes a table of them."""

from __future__ import annotations

from pathlib import Path

_PYTHON = "python -c \"import pandas as pd; pd.{call}.to_csv('{to}', index=False)\""
_R = "Rscript -e 'write.csv({call}, \"{to}\", row.names = FALSE)'"
_MATLAB = "matlab -batch \"load('{name}'); writetable({call}, '{to}')\""
_LOADED = 'local({ load("NAME"); mget(ls())[[1]] })'
_BY_SUFFIX = {
    ".sav": ("an SPSS file", _PYTHON, "read_spss('{name}')", "pip install pyreadstat"),
    ".zsav": ("an SPSS file", _PYTHON, "read_spss('{name}')", "pip install pyreadstat"),
    ".por": ("an SPSS file", _R, 'foreign::read.spss("{name}", to.data.frame = TRUE)', ""),
    ".dta": ("a Stata file", _PYTHON, "read_stata('{name}')", ""),
    ".sas7bdat": ("a SAS file", _PYTHON, "read_sas('{name}', encoding='latin-1')", ""),
    ".xpt": ("a SAS file", _PYTHON, "read_sas('{name}', encoding='latin-1')", ""),
    ".rds": ("an R file", _R, 'readRDS("{name}")', ""),
    ".rdata": ("an R file", _R, _LOADED, ""),
    ".rda": ("an R file", _R, _LOADED, ""),
    ".mat": ("a MATLAB file", _MATLAB, "T", "T is the table in it"),
    ".xls": ("an old Excel file", _PYTHON, "read_excel('{name}')", "pip install xlrd"),
    ".ods": ("an OpenDocument table", _PYTHON, "read_excel('{name}')", "pip install odfpy"),
    ".feather": ("a Feather file", _PYTHON, "read_feather('{name}')", ""),
    ".arrow": ("an Arrow file", _PYTHON, "read_feather('{name}')", ""),
    ".pkl": ("a pickle", _PYTHON, "read_pickle('{name}')", ""),
    ".pickle": ("a pickle", _PYTHON, "read_pickle('{name}')", ""),
    ".h5": ("an HDF5 file", _PYTHON, "read_hdf('{name}')", "pip install tables"),
    ".hdf5": ("an HDF5 file", _PYTHON, "read_hdf('{name}')", "pip install tables"),
    ".json": ("a JSON file", _PYTHON, "read_json('{name}')", ""),
}  # fmt: skip
_BY_CONTENT = {
    b"$FL2@(#)": ".sav",
    b"$FL3@(#)": ".zsav",
    b"<stata_dta>": ".dta",
    b"\xd0\xcf\x11\xe0": ".xls",
    b"MATLAB 5.0 MAT": ".mat",
    b"\x89HDF\r\n": ".h5",
    b"RDX2\n": ".rdata",
    b"RDX3\n": ".rdata",
    b"RDA3\n": ".rdata",
    b"X\n\x00\x00": ".rds",
    b"ARROW1": ".arrow",
    b"FEA1": ".feather",
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc2\xea\x81\x60": ".sas7bdat",
    b"HEADER RECORD*******LIBRARY": ".xpt",
}


def foreign(path: Path, head: bytes) -> str:
    """Say which program's file this is, and how it becomes a table; nothing if it is none of those known.

    >>> foreign(Path("study.dta"), b"")[:41]
    'is a Stata file; make a table of it: pyth'
    """
    by_content = next((suffix for start, suffix in _BY_CONTENT.items() if head.startswith(start)), "")
    suffix = path.suffix.lower()
    known = _BY_SUFFIX.get(by_content if by_content and suffix != ".mat" else suffix)
    is_text = not by_content and b"\0" not in head and suffix == ".xls"  # many programs call their text so
    if known is None or is_text:
        return ""
    what, line, call, needs = known
    call = call.replace("NAME", path.name).replace("{name}", path.name)
    made = line.replace("{call}", call).replace("{name}", path.name).replace("{to}", f"{path.stem}.csv")
    return f"is {what}; make a table of it: {made}" + (f" ({needs})" if needs else "")
