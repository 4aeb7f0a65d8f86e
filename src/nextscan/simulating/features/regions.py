"""The features of simulated cohorts: names as FreeSurfer writes them, units, and plausible sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice, product

_CORTEX = [
    "bankssts", "caudalanteriorcingulate", "caudalmiddlefrontal", "cuneus", "entorhinal", "fusiform",
    "inferiorparietal", "inferiortemporal", "isthmuscingulate", "lateraloccipital",
    "lateralorbitofrontal", "lingual", "medialorbitofrontal", "middletemporal", "parahippocampal",
    "paracentral", "parsopercularis", "parsorbitalis", "parstriangularis", "pericalcarine",
    "postcentral", "posteriorcingulate", "precentral", "precuneus", "rostralanteriorcingulate",
    "rostralmiddlefrontal", "superiorfrontal", "superiorparietal", "superiortemporal", "supramarginal",
    "frontalpole", "temporalpole", "transversetemporal", "insula",
]  # fmt: skip

_GYRI_AND_SULCI = [
    "G_and_S_frontomargin", "G_and_S_occipital_inf", "G_and_S_paracentral", "G_and_S_subcentral",
    "G_and_S_transv_frontopol", "G_and_S_cingul-Ant", "G_and_S_cingul-Mid-Ant",
    "G_and_S_cingul-Mid-Post", "G_cingul-Post-dorsal", "G_cingul-Post-ventral", "G_cuneus",
    "G_front_inf-Opercular", "G_front_inf-Orbital", "G_front_inf-Triangul", "G_front_middle",
    "G_front_sup", "G_Ins_lg_and_S_cent_ins", "G_insular_short", "G_occipital_middle",
    "G_occipital_sup", "G_oc-temp_lat-fusifor", "G_oc-temp_med-Lingual", "G_oc-temp_med-Parahip",
    "G_orbital", "G_pariet_inf-Angular", "G_pariet_inf-Supramar", "G_parietal_sup", "G_postcentral",
    "G_precentral", "G_precuneus", "G_rectus", "G_subcallosal", "G_temp_sup-G_T_transv",
    "G_temp_sup-Lateral", "G_temp_sup-Plan_polar", "G_temp_sup-Plan_tempo", "G_temporal_inf",
    "G_temporal_middle", "Lat_Fis-ant-Horizont", "Lat_Fis-ant-Vertical", "Lat_Fis-post",
    "Pole_occipital", "Pole_temporal", "S_calcarine", "S_central", "S_cingul-Marginalis",
    "S_circular_insula_ant", "S_circular_insula_inf", "S_circular_insula_sup", "S_collat_transv_ant",
    "S_collat_transv_post", "S_front_inf", "S_front_middle", "S_front_sup", "S_interm_prim-Jensen",
    "S_intrapariet_and_P_trans", "S_oc_middle_and_Lunatus", "S_oc_sup_and_transversal",
    "S_occipital_ant", "S_oc-temp_lat", "S_oc-temp_med_and_Lingual", "S_orbital_lateral",
    "S_orbital_med-olfact", "S_orbital-H_Shaped", "S_parieto_occipital", "S_pericallosal",
    "S_postcentral", "S_precentral-inf-part", "S_precentral-sup-part", "S_suborbital", "S_subparietal",
    "S_temporal_inf", "S_temporal_sup", "S_temporal_transverse",
]  # fmt: skip

# mm³ of one side
_SUBCORTEX = {
    "Thalamus": 7200, "Caudate": 3500, "Putamen": 4700, "Pallidum": 1950, "Hippocampus": 3900, "Amygdala": 1600,
    "Accumbens-area": 480, "VentralDC": 3900, "Cerebellum-Cortex": 53000, "Cerebellum-White-Matter": 14500,
    "Lateral-Ventricle": 12500, "Inf-Lat-Vent": 550, "choroid-plexus": 650,
}  # fmt: skip
_MIDLINE = {
    "Brain-Stem": 21500, "3rd-Ventricle": 1350, "4th-Ventricle": 1750, "CSF": 1150, "Optic-Chiasm": 220,
    "WM-hypointensities": 2300, "CC_Anterior": 870, "CC_Mid_Anterior": 520, "CC_Central": 530,
    "CC_Mid_Posterior": 510, "CC_Posterior": 950,
}  # fmt: skip
_HIPPOCAMPUS = {
    "CA1-body": 125, "CA1-head": 510, "CA3-body": 90, "CA3-head": 120, "CA4-body": 125, "CA4-head": 130,
    "GC-ML-DG-body": 140, "GC-ML-DG-head": 155, "HATA": 60, "Hippocampal_tail": 560, "fimbria": 75,
    "hippocampal-fissure": 160, "molecular_layer_HP-body": 235, "molecular_layer_HP-head": 330, "parasubiculum": 62,
    "presubiculum-body": 165, "presubiculum-head": 140, "subiculum-body": 240, "subiculum-head": 185,
}  # fmt: skip
_THALAMUS = {
    "AV": 135, "CL": 38, "CM": 245, "CeM": 70, "LD": 30, "LGN": 235, "LP": 125, "L-Sg": 28, "MDl": 285, "MDm": 780,
    "MGN": 120, "MV-re": 14, "Pc": 4, "Pf": 62, "Pt": 8, "PuA": 225, "PuI": 245, "PuL": 205, "PuM": 1150, "VA": 420,
    "VAmc": 35, "VLa": 640, "VLp": 860, "VM": 22, "VPL": 880,
}  # fmt: skip
_NIGRA = {"medial": 148, "ventral": 172, "lateral": 121}
_SPREAD = {"thickness": 0.05, "area": 0.08, "volume": 0.08}  # narrow enough to stay above zero
_RELIABILITY = {"thickness": 0.70, "area": 0.80, "volume": 0.75}
_FILLED_WITH_FLUID = ("Vent", "CSF", "hypointensities", "fissure", "choroid")


@dataclass(frozen=True)
class Region:
    """One feature of a simulated cohort.

    Attributes
    ----------
    name : str
    twin : str
        The name without its side: left and right of a region share most of their variation.
    measure : str
        ``volume`` (mm3), ``area`` (mm2) or ``thickness`` (mm).
    typical : float
        Value of an average person, native units.
    """

    name: str
    twin: str
    measure: str
    typical: float

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return {"volume": "mm3", "area": "mm2", "thickness": "mm"}[self.measure]

    @property
    def sd(self) -> float:
        """Spread between people of the same age, sex and health, native units."""
        return _SPREAD[self.measure] * self.typical

    @property
    def reliability(self) -> float:
        """Typical share of that spread which a second scan on the same day would repeat."""
        return _RELIABILITY[self.measure]

    @property
    def grows(self) -> bool:
        """Tell whether ageing enlarges the region: fluid and lesions do what tissue does not."""
        return any(word in self.name for word in _FILLED_WITH_FLUID)

    @property
    def in_nigra(self) -> bool:
        """Tell whether this is part of the substantia nigra pars compacta."""
        return "substantia_nigra_pars_compacta" in self.name


def regions(n_features: int) -> list[Region]:
    """Return the first features of the catalogue, and numbered parcels after its end.

    The six volumes of the substantia nigra pars compacta come first.

    >>> regions(7)[6].name, regions(7)[6].unit
    ('Left-Thalamus', 'mm3')
    """
    return list(islice(_catalogue(), n_features))


def _catalogue() -> Iterator[Region]:
    for (part, size), side in product(_NIGRA.items(), ("lh", "rh")):
        yield Region(f"{side}_substantia_nigra_pars_compacta_{part}_volume", f"nigra {part}", "volume", size)
    for (part, size), side in product(_SUBCORTEX.items(), ("Left", "Right")):
        yield Region(f"{side}-{part}", part, "volume", size)
    for part, size in _MIDLINE.items():
        yield Region(part, part, "volume", size)
    yield from _parcellation(_CORTEX)
    for (part, size), side in product((_HIPPOCAMPUS | _THALAMUS).items(), ("lh", "rh")):
        yield Region(f"{side}_{part}_volume", part, "volume", size)
    yield from _parcellation(_GYRI_AND_SULCI)
    for number in count(1):
        yield Region(f"parcel-{number:04d}_volume", f"parcel {number}", "volume", 1000)


def _parcellation(names: list[str]) -> Iterator[Region]:
    for measure, (position, name), side in product(("thickness", "area", "volume"), enumerate(names), ("lh", "rh")):
        thickness = 2.1 + 0.9 * (position * 0.618 % 1)
        area = 400 * 10 ** (position * 0.414 % 1)
        typical = {"thickness": thickness, "area": area, "volume": thickness * area}[measure]
        yield Region(f"{side}_{name}_{measure}", f"{name} {measure}", measure, typical)
