"""The names by which imputers are asked for, and nothing else."""

from __future__ import annotations

import difflib
import importlib
from typing import Any, Literal

from nextscan.errors import SettingError

Kind = Literal["features", "volumes"]

# name -> (module, class, settings the name implies)
_REGISTRY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "secondgram": ("secondgram.imputer", "Secondgram", {}),
    "secondgram-paper": ("secondgram.imputer", "Secondgram", {"preset": "paper"}),
    "secondgram-released": ("secondgram.imputer", "Secondgram", {"preset": "released"}),
    "carry-forward": ("baselines.carry_forward", "CarryForward", {}),
    "mean-change": ("baselines.mean_change", "MeanChange", {}),
    "feature-regression": ("baselines.feature_regression", "FeatureRegression", {}),
    "ridge": ("baselines.ridge", "Ridge", {}),
    "reliability": ("baselines.reliability", "Reliability", {}),
    "mixed-factor": ("mixed_factor.imputer", "MixedFactor", {}),
    "anchored": ("anchored.imputer", "AnchoredSecondgram", {}),
    "oracle": ("baselines.oracle", "Oracle", {}),
    "volume-diffusion": ("volumes.diffusion.imputer", "VolumeDiffusion", {}),
    "volume-vae": ("volumes.vae.imputer", "VolumeVAE", {}),
    "med-ddpm": ("volumes.diffusion.med_ddpm", "MedDDPM", {}),
    "copy-source": ("volumes.copy_source", "CopySource", {}),
    "volume-mean-change": ("volumes.mean_change", "VolumeMeanChange", {}),
    "volume-oracle": ("volumes.oracle", "VolumeOracle", {}),
    "heart-oracle": ("sequences.oracle", "HeartOracle", {}),
}

BASELINES = ("carry-forward", "mean-change", "feature-regression", "ridge", "reliability")
VOLUME_BASELINES = ("copy-source", "volume-mean-change")


def imputer_names(kind: Kind | None = None) -> tuple[str, ...]:
    """Return all registry names, or those of one kind: of imputers of features, or of volumes."""
    return tuple(name for name in _REGISTRY if kind is None or kind_of(name) == kind)


def kind_of(name: str) -> Kind:
    """Tell what an imputer of that name learns from: features or volumes.

    Raises
    ------
    SettingError
        If the name is unknown; the message suggests the nearest name.
    """
    return "volumes" if _entry(name)[0].startswith(("volumes.", "sequences.")) else "features"


def make_imputer(name: str, **settings: Any) -> Any:
    """Return an unfitted imputer by registry name: an `Imputer` of features or a `VolumeImputer`.

    Raises
    ------
    SettingError
        If the name or a setting is unknown; the message suggests the nearest name.
    """
    module, class_name, implied = _entry(name)
    cls = getattr(importlib.import_module(f"nextscan.imputers.{module}"), class_name)
    unknown = sorted(set(settings) - set(cls.setting_names()))
    if unknown:
        raise SettingError(f"{name} has no setting {', '.join(unknown)}; it has {', '.join(cls.setting_names())}")
    return cls(**{**implied, **settings})


def _entry(name: str) -> tuple[str, str, dict[str, Any]]:
    if name not in _REGISTRY:
        near = difflib.get_close_matches(name, _REGISTRY, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise SettingError(f"no method named {name}; {hint}there are {', '.join(_REGISTRY)}")
    return _REGISTRY[name]
