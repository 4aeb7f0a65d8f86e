"""Where a simulated cohort may be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nextscan.errors import OutputError


def check_simulated(out: Path, what: str, law: Path, is_ours: Callable[[str], bool]) -> None:
    """Refuse to replace anything but a simulated cohort of that kind as it was written.

    Parameters
    ----------
    out : Path
    what : str
        The kind, as in "brains".
    law : Path
        Where the law lies in such a cohort.
    is_ours : callable
        Tells whether a name within it is of what is written there.

    Raises
    ------
    OutputError
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out}: is a file; give the name of a folder")
    inside = sorted(path.name for path in out.iterdir())
    if not inside:
        return
    if not (out / law).is_file():
        raise OutputError(f"{out}: exists and is not a cohort of simulated {what}; choose another place or remove it")
    strange = [name for name in inside if not is_ours(name)]
    strange += [f"derivatives/{path.name}" for path in sorted((out / "derivatives").iterdir()) if path.name != "truth"]
    if strange:
        raise OutputError(
            f"{out}: holds {strange[0]}, which was not simulated and would be lost; choose another place or move it "
            "away"
        )
