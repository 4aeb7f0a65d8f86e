"""Functions of the user's own, named as ``module:function``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from nextscan.errors import SettingError


def load_function(name: str, *, what: str) -> Callable[..., Any]:
    """Return the function that ``module:function`` names.

    Parameters
    ----------
    name : str
        The module must be importable: installed, or in a folder of ``PYTHONPATH``.
    what : str
        The part it plays, for messages.

    Raises
    ------
    SettingError
        If there is no such module or function.

    >>> load_function("math:hypot", what="example")(3.0, 4.0)
    5.0
    """
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise SettingError(f"{what} {name!r}: give it as module:function, as in my_lab.synthseg:volumes")
    try:
        found = getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise SettingError(
            f"{what} {name}: cannot be imported ({error}); install the module or put its folder into PYTHONPATH"
        ) from None
    except AttributeError:
        raise SettingError(f"{what} {name}: {module} has no {function}") from None
    if not callable(found):
        raise SettingError(f"{what} {name}: is not a function")
    called: Callable[..., Any] = found
    return called
