"""The errors nextscan raises on purpose: one line that names the place and the remedy."""

from __future__ import annotations

from collections.abc import Iterable


class NextscanError(Exception):
    """Base of every error meant for the user; the command line prints it and exits with 2."""


class CohortError(NextscanError):
    """The table or cohort cannot be used as it is."""


class ImageError(CohortError):
    """An image cannot be used as it is; the message names file, subject and visit."""


class SchemaError(NextscanError):
    """The schema file is wrong, or does not fit the table."""


class SettingError(NextscanError):
    """A setting has a value that is not allowed, or settings contradict each other."""


class NotFittedError(NextscanError):
    """`impute` or `save` was called before `fit`."""


class TooFewPairsError(NextscanError):
    """The training cohort holds fewer pairs of visits than the method needs."""


class FeatureMismatchError(NextscanError):
    """A table lacks the features, or has other units, than the model was fitted on."""


class ModelFolderError(NextscanError):
    """A saved model folder is missing, truncated, tampered with or of another version."""


class RunFolderError(NextscanError):
    """The folder of an evaluation is missing, incomplete, damaged or belongs to other settings."""


class OutputError(NextscanError):
    """A result could not be written."""


class TrainingError(NextscanError):
    """Training cannot go on: losses are not finite, or every step is skipped."""


class NotEnoughMemoryError(NextscanError):
    """The machine's memory does not hold what was asked for."""


class NextscanWarning(UserWarning):
    """Something was understood in a way the user should know about."""


def some(names: Iterable[object], limit: int = 5) -> str:
    """Name a few items and count the rest.

    >>> some(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    listed = [str(name) for name in names]
    shown = ", ".join(listed[:limit])
    return shown if len(listed) <= limit else f"{shown} and {len(listed) - limit} more"


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, whoever raised it: Python, NumPy, or torch on any device.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    (True, True)
    >>> is_out_of_memory(RuntimeError("shapes do not fit"))
    False
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(sign in text for sign in _OUT_OF_MEMORY)


_OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "alloc_failed",
)  # fmt: skip
