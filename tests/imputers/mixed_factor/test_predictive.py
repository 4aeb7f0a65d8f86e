"""Whitening by low rank plus diagonal against the dense covariance."""

import torch

from nextscan.imputers.mixed_factor.predictive import Predictive


def law(n: int = 3, rank: int = 2, p: int = 5) -> Predictive:
    torch.manual_seed(0)
    make = torch.float64
    own = torch.rand(n, p, dtype=make) + 0.2
    return Predictive(torch.zeros(n, p, dtype=make), torch.randn(n, rank, p, dtype=make), own)


def covariance(of: Predictive) -> torch.Tensor:
    return of.load.mT @ of.load + torch.diag_embed(of.own)


def test_whitened_length_is_the_mahalanobis_distance() -> None:
    deviation = torch.randn(4, 3, 5, dtype=torch.float64)
    expected = (deviation * torch.linalg.solve(covariance(law()), deviation[..., None])[..., 0]).sum(-1)
    torch.testing.assert_close(law().whiten(deviation).square().sum(-1), expected)


def test_colouring_undoes_whitening_and_has_the_covariance() -> None:
    colour = law().colouring()
    deviation = torch.randn(4, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(colour(law().whiten(deviation)), deviation)
    rows = colour(torch.eye(5, dtype=torch.float64)[:, None].expand(5, 3, 5))  # rows of the root, transposed
    torch.testing.assert_close(torch.einsum("knp,knq->npq", rows, rows), covariance(law()))


def test_diagonal_keeps_variances_only() -> None:
    expected = torch.diag_embed(covariance(law()).diagonal(dim1=1, dim2=2))
    torch.testing.assert_close(covariance(law().diagonal()), expected)


def test_missing_cells_follow_from_those_seen() -> None:
    deviation = torch.randn(3, 5, dtype=torch.float64)
    seen = torch.tensor([[True, True, False, True, False]] * 3)
    found = law().given(deviation, seen)
    for i, whole in enumerate(covariance(law())):
        o, m = seen[i], ~seen[i]
        expected = whole[m][:, o] @ torch.linalg.solve(whole[o][:, o], deviation[i, o])
        torch.testing.assert_close(found[i, m], expected)
        torch.testing.assert_close(found[i, o], deviation[i, o])
