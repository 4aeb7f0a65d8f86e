"""Choices of methods: what is allowed, how presets are changed, and where to compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_args, get_type_hints

from nextscan.errors import SettingError

if TYPE_CHECKING:
    import torch

    from nextscan.training import Processes


@dataclass(frozen=True)
class Settings:
    """Base of all choices of a method; those between texts, a `Literal`, are checked."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for spec in fields(self):
            allowed = get_args(hints[spec.name])
            if allowed and all(isinstance(choice, str) for choice in allowed):
                one_of(allowed, **{spec.name: getattr(self, spec.name)})

    def changed(self, params: Mapping[str, Any]) -> Self:
        """Return the settings with those of an estimator's parameters that are settings, and not None."""
        given = {spec.name: params.get(spec.name) for spec in fields(self)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON knows them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


S = TypeVar("S", bound=Settings)


def resolve(presets: Mapping[str, S], preset: str, params: Mapping[str, Any]) -> S:
    """Return a preset with the changes among an estimator's parameters; None means "as in the preset".

    Raises
    ------
    SettingError
        If the preset is unknown or a value is not allowed.
    """
    one_of(presets, preset=preset)
    return presets[preset].changed(params)


def one_of(allowed: Iterable[str], **values: Any) -> None:
    """Refuse values, given by name, that are not allowed."""
    for name, value in values.items():
        if value not in tuple(allowed):
            raise SettingError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def at_least(least: int, **values: float) -> None:
    """Refuse values, given by name, that are too small."""
    for name, value in values.items():
        if value < least:
            raise SettingError(f"{name} must be at least {least}, got {value}")


def torch_device(name: str, here: Processes | None = None) -> torch.device:
    """Return the device on which a process computes: "auto" is its GPU if there is one.

    Raises
    ------
    SettingError
        If it cannot be used.
    """
    import torch

    from nextscan.training import Processes

    if name == "auto":
        return (here or Processes()).device()
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise SettingError(f"device {name!r} cannot be used here; try device='auto'") from error
