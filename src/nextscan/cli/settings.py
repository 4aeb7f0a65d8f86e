"""`--set name=value`: settings of a method, read as the types its constructor declares."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any

from nextscan.errors import SettingError


def build_method(name: str, assignments: Sequence[str]) -> Any:
    """Return an unfitted imputer with the settings given as ``name=value``.

    Raises
    ------
    SettingError
        If the method, a setting or a value is not one it knows.
    """
    from nextscan.imputers import make_imputer

    model = make_imputer(name)
    hints = typing.get_type_hints(type(model).__init__)
    settings: dict[str, Any] = {}
    for assignment in assignments:
        setting, equals, text = assignment.partition("=")
        if not equals:
            raise SettingError(f"--set {assignment}: give it as name=value, as in --set epochs=100")
        if setting in settings:
            raise SettingError(f"--set {setting}: given twice")
        settings[setting] = _read(setting, text, hints[setting]) if setting in hints else text
    model = make_imputer(name, **settings)
    getattr(model, "settings", None)  # those of networks are checked as a whole: before the cohort is looked at
    return model


def _read(setting: str, text: str, hint: Any) -> Any:
    """Read one value as what the constructor's annotation says it is."""
    from pydantic import TypeAdapter, ValidationError

    choices = typing.get_args(hint)
    if text.lower() == "none" and type(None) in choices:
        return None
    several = any(typing.get_origin(choice) in (tuple, list) for choice in (hint, *choices))
    try:
        parts = () if text in ("", "()") else tuple(text.split(","))
        return TypeAdapter(hint).validate_python(parts if several else text)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise SettingError(f"--set {setting}={text}: {problem[0].lower()}{problem[1:]}") from None
