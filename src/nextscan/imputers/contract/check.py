"""The executable contract of an imputer: what users and the other rooms may rely on.

    from nextscan.imputers.contract.check import Candidate, check_imputer, imputer_checks

    check_imputer(lambda: MyImputer(epochs=2))

or one test per clause, with the fitted model shared:

    candidate = Candidate(lambda: MyImputer(epochs=2))

    @pytest.mark.parametrize("check", imputer_checks(), ids=lambda check: check.__name__)
    def test_contract(check):
        check(candidate)

Every check raises AssertionError with a message that says which promise was broken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nextscan.cohort import Cohort
from nextscan.imputers.contract import checks
from nextscan.imputers.contract.candidate import BaseCandidate, Candidate
from nextscan.imputers.contract.volume_candidate import VolumeCandidate
from nextscan.imputers.registry import Kind
from nextscan.imputers.volumes.base import VolumeImputer

__all__ = ["Candidate", "candidate_for", "check_imputer", "imputer_checks"]


def check_imputer(
    make: Callable[[], Any],
    *,
    cohort: Cohort | None = None,
    tolerance: float | None = None,
    deviations: Mapping[str, str] | None = None,
) -> None:
    """Run every check of the contract, of imputers of features or of volumes, as the imputer is.

    Parameters
    ----------
    make, cohort, tolerance
        As in `Candidate`, and in `nextscan.imputers.contract.volume_candidate.VolumeCandidate`.
    deviations : mapping of check name to reason, optional
        Checks that are known not to hold; they are left out.

    Raises
    ------
    AssertionError
        At the first broken promise.
    """
    candidate = candidate_for(make, cohort=cohort, tolerance=tolerance)
    for check in imputer_checks(candidate.kind):
        if check.__name__ not in (deviations or {}):
            check(candidate)


def candidate_for(
    make: Callable[[], Any], *, cohort: Cohort | None = None, tolerance: float | None = None
) -> BaseCandidate:
    """Return what the checks of an imputer run on: a `Candidate` or a `VolumeCandidate`."""
    given = {} if tolerance is None else {"tolerance": tolerance}
    kind = VolumeCandidate if isinstance(make(), VolumeImputer) else Candidate
    return kind(make, cohort=cohort, **given)


def imputer_checks(kind: Kind = "features") -> tuple[Callable[[Any], None], ...]:
    """Return the checks of imputers of features or of volumes, in the order in which they are best read."""
    module = checks
    if kind == "volumes":
        from nextscan.imputers.contract import volume_checks as module  # type: ignore[no-redef]
    return tuple(value for name, value in vars(module).items() if name.startswith("check_"))
