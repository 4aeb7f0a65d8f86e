"""The executable contract of an imputer: what users and the other rooms may rely on.

    from nextscan.imputers.contract import Candidate, check_imputer, imputer_checks

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

from nextscan.cohort import Cohort
from nextscan.imputers import contract_checks
from nextscan.imputers.base import Imputer
from nextscan.imputers.contract_candidate import Candidate

__all__ = ["Candidate", "check_imputer", "imputer_checks"]


def check_imputer(
    make: Callable[[], Imputer],
    *,
    cohort: Cohort | None = None,
    tolerance: float = 1e-4,
    deviations: Mapping[str, str] | None = None,
) -> None:
    """Run every check of the contract.

    Parameters
    ----------
    make, cohort, tolerance
        As in `Candidate`.
    deviations : mapping of check name to reason, optional
        Checks that are known not to hold; they are left out.

    Raises
    ------
    AssertionError
        At the first broken promise.
    """
    candidate = Candidate(make, cohort=cohort, tolerance=tolerance)
    for check in imputer_checks():
        if check.__name__ not in (deviations or {}):
            check(candidate)


def imputer_checks() -> tuple[Callable[[Candidate], None], ...]:
    """Return the checks, in the order in which they are best read."""
    return tuple(value for name, value in vars(contract_checks).items() if name.startswith("check_"))
