"""The rule of SECONDGRAM, case by case, and that its record is truthful."""

import pytest
import torch

from nextscan.errors import SettingError
from nextscan.training import ClipAndSkip, Plain


def test_thresholds_are_mean_and_three_times_the_maximum() -> None:
    norms = torch.tensor([[1.0, 10.0], [2.0, 20.0], [6.0, 30.0]])
    assert ClipAndSkip().thresholds(norms).tolist() == [[3.0, 20.0], [18.0, 90.0]]
    assert ClipAndSkip(factor=2.0).thresholds(norms)[1].tolist() == [12.0, 60.0]


def test_rule_case_by_case() -> None:
    policy = ClipAndSkip(0.3, 1.8)
    assert not policy.needs_preliminary_pass
    norms = torch.tensor([0.1, 0.3, 0.6, 1.8, 1.81, torch.inf, torch.nan])
    decision = policy.decide(norms, policy.thresholds(norms[None]))
    assert decision.skip.tolist() == [False, False, False, False, True, True, True]
    assert decision.clipped.tolist() == [False, False, True, True, False, False, False]
    torch.testing.assert_close(decision.scale, torch.tensor([1, 1, 0.5, 0.3 / 1.8, 1, 1, 1]))


def test_plain_skips_only_what_is_not_finite() -> None:
    norms = torch.tensor([1e30, torch.nan])
    decision = Plain().decide(norms, Plain().thresholds(norms[None]))
    assert decision.skip.tolist() == [False, True]
    assert decision.scale.tolist() == [1.0, 1.0]
    assert not decision.clipped.any()


@pytest.mark.parametrize(("clip", "skip"), [(1.0, None), (2.0, 1.0), (0.0, 1.0)])
def test_wrong_thresholds_are_refused(clip: float, skip: float | None) -> None:
    with pytest.raises(SettingError, match="threshold"):
        ClipAndSkip(clip, skip)
