"""Names of regions as FreeSurfer writes them, also where R has changed them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SIDED = (
    "Lateral-Ventricle", "Inf-Lat-Vent", "Cerebellum-White-Matter", "Cerebellum-Cortex", "Thalamus", "Thalamus-Proper",
    "Thalamus-Proper*", "Caudate", "Putamen", "Pallidum", "Hippocampus", "Amygdala", "Accumbens-area", "VentralDC",
    "vessel", "choroid-plexus", "WM-hypointensities", "non-WM-hypointensities", "Cerebral-White-Matter",
    "Cerebral-Cortex", "Cerebellum-Exterior", "undetermined",
)  # fmt: skip
_SINGLE = (
    "3rd-Ventricle", "4th-Ventricle", "5th-Ventricle", "Brain-Stem", "CSF", "WM-hypointensities",
    "non-WM-hypointensities", "Optic-Chiasm", "CC_Posterior", "CC_Mid_Posterior", "CC_Central", "CC_Mid_Anterior",
    "CC_Anterior", "BrainSegVol", "BrainSegVolNotVent", "BrainSegVolNotVentSurf", "lhCortexVol", "rhCortexVol",
    "CortexVol", "lhCerebralWhiteMatterVol", "rhCerebralWhiteMatterVol", "CerebralWhiteMatterVol",
    "lhCorticalWhiteMatterVol", "rhCorticalWhiteMatterVol", "CorticalWhiteMatterVol", "SubCortGrayVol", "TotalGrayVol",
    "SupraTentorialVol", "SupraTentorialVolNotVent", "SupraTentorialVolNotVentVox", "MaskVol", "BrainSegVol-to-eTIV",
    "MaskVol-to-eTIV", "lhSurfaceHoles", "rhSurfaceHoles", "SurfaceHoles", "EstimatedTotalIntraCranialVol", "eTIV",
)  # fmt: skip
_OF_ASEG = frozenset({*_SINGLE, *(f"{side}-{name}" for side in ("Left", "Right") for name in _SIDED)})
_MEASURES = "thickness|thicknessstd|area|volume|meancurv|gauscurv|foldind|curvind"
_OF_SURFACE = re.compile(rf"[lr]h_[\w.&+*-]+_(?:{_MEASURES})")
_REPEATED = re.compile(r"(?P<name>.+)\.\d{1,2}")


def _of_r(name: str) -> str:
    """Return what R makes of a column's name (`make.names`)."""
    made = re.sub(r"[^A-Za-z0-9._]", ".", name)
    return f"X{made}" if re.match(r"[0-9_]|\.[0-9]", made) else made


_FROM_R = {_of_r(name): name for name in _OF_ASEG if _of_r(name) != name}


def as_freesurfer(column: str) -> str:
    """Return the name FreeSurfer gives a region, where R has changed it; any other name as it is.

    >>> as_freesurfer("X3rd.Ventricle"), as_freesurfer("Left.Hippocampus"), as_freesurfer("rh_S_oc.temp_lat_thickness")
    ('3rd-Ventricle', 'Left-Hippocampus', 'rh_S_oc-temp_lat_thickness')
    >>> as_freesurfer("lh_bankssts_thickness.1"), as_freesurfer("my.score")
    ('lh_bankssts_thickness', 'my.score')
    """
    repeated = _REPEATED.fullmatch(column)
    bare = repeated["name"] if repeated and _is_region(repeated["name"]) else column
    if bare in _FROM_R:
        return _FROM_R[bare]
    if "." in bare and _OF_SURFACE.fullmatch(bare):
        return bare.replace("_G.S_", "_G&S_").replace(".", "-")
    return bare


def renamed(columns: Iterable[str], among: Iterable[str], *, kept: Iterable[str] = ()) -> dict[str, str]:
    """Return the names of columns as FreeSurfer writes them, where that makes no two alike.

    Parameters
    ----------
    columns : iterable of str
    among : iterable of str
        All columns of the table.
    kept : iterable of str
        Names to leave alone: another table is called so.
    """
    columns, taken = list(columns), set(among)
    kept = set(kept)
    names = {column: column if column in kept else as_freesurfer(column) for column in columns}
    made = [name for column, name in names.items() if name != column]
    return {column: column if name in taken or made.count(name) > 1 else name for column, name in names.items()}


def _is_region(name: str) -> bool:
    return name in _OF_ASEG or name in _FROM_R or _OF_SURFACE.fullmatch(name) is not None


def share_of_regions(names: Iterable[str]) -> float:
    """Return the share of names that are regions or global measures of FreeSurfer."""
    known = [
        _is_region(name) or re.match(r"(?:[lr]h|wm-[lr]h|ctx-[lr]h|Left|Right)[_-]", name) is not None for name in names
    ]
    return sum(known) / max(1, len(known))
