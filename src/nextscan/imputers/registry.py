"""The names by which imputers are asked for, and nothing else."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any

from nextscan.errors import SettingError

if TYPE_CHECKING:
    from nextscan.imputers.base import Imputer

# name -> (module, class, settings the name implies)
_REGISTRY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "secondgram": ("secondgram", "Secondgram", {}),
    "secondgram-paper": ("secondgram", "Secondgram", {"preset": "paper"}),
    "secondgram-released": ("secondgram", "Secondgram", {"preset": "released"}),
    "carry-forward": ("carry_forward", "CarryForward", {}),
    "mean-change": ("mean_change", "MeanChange", {}),
    "feature-regression": ("feature_regression", "FeatureRegression", {}),
    "ridge": ("ridge", "Ridge", {}),
    "reliability": ("reliability", "Reliability", {}),
    "mixed-factor": ("mixed_factor", "MixedFactor", {}),
    "anchored": ("anchored", "AnchoredSecondgram", {}),
    "oracle": ("oracle", "Oracle", {}),
}

BASELINES = ("carry-forward", "mean-change", "feature-regression", "ridge", "reliability")


def imputer_names() -> tuple[str, ...]:
    """Return all registry names."""
    return tuple(_REGISTRY)


def make_imputer(name: str, **settings: Any) -> Imputer:
    """Return an unfitted imputer by registry name.

    Raises
    ------
    SettingError
        If the name or a setting is unknown; the message suggests the nearest name.
    """
    if name not in _REGISTRY:
        near = difflib.get_close_matches(name, _REGISTRY, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise SettingError(f"no method named {name}; {hint}there are {', '.join(_REGISTRY)}")
    module, class_name, implied = _REGISTRY[name]
    cls = getattr(importlib.import_module(f"nextscan.imputers.{module}"), class_name)
    unknown = sorted(set(settings) - set(cls.setting_names()))
    if unknown:
        raise SettingError(f"{name} has no setting {', '.join(unknown)}; it has {', '.join(cls.setting_names())}")
    model: Imputer = cls(**{**implied, **settings})
    return model
