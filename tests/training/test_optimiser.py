"""Adam per replica equals torch's Adam, and a skipped replica does not move at all."""

import torch

from nextscan.training import Decision
from nextscan.training.optimiser import ReplicaAdam


def gradients(parameters: list[torch.Tensor]) -> None:
    for p in parameters:
        p.grad = None
    sum(p.pow(4).sum() + p.sin().sum() for p in parameters).backward()


def test_equals_torch_adam_on_scaled_gradients() -> None:
    g = torch.Generator().manual_seed(0)
    ours = [
        torch.randn(2, 5, 3, generator=g, dtype=torch.float64),
        torch.randn(2, 4, generator=g, dtype=torch.float64),
    ]
    theirs = [p[1].clone().requires_grad_() for p in ours]
    for p in ours:
        p.requires_grad_()
    adam, reference = ReplicaAdam(ours, learning_rate=0.01), torch.optim.Adam(theirs, lr=0.01)
    scale = torch.tensor([1.0, 0.25], dtype=torch.float64)
    for _ in range(7):
        gradients(ours)
        gradients(theirs)
        for p in theirs:
            p.grad *= 0.25
        adam.step(Decision(scale, torch.zeros(2, dtype=torch.bool), scale < 1))
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p[1], q, rtol=0, atol=1e-12)


def test_skipped_replica_keeps_parameters_moments_and_count() -> None:
    parameter = torch.ones(2, 3, requires_grad=True)
    adam = ReplicaAdam([parameter], learning_rate=0.1)
    one = torch.ones(2)
    gradients([parameter])
    adam.step(Decision(one, torch.tensor([False, False]), torch.tensor([False, False])))
    before = {name: tensor.clone() for name, tensor in adam.state().items()} | {"parameter": parameter.detach().clone()}
    gradients([parameter])
    parameter.grad[0] = torch.nan
    adam.step(Decision(one, torch.tensor([True, False]), torch.tensor([False, False])))
    after = adam.state() | {"parameter": parameter.detach()}
    for name, tensor in after.items():
        assert torch.equal(tensor[0], before[name][0]), name
        assert not torch.equal(tensor[1], before[name][1]), name


def test_norm_is_over_all_parameters_of_a_replica() -> None:
    parameters = [torch.zeros(2, 2, requires_grad=True), torch.zeros(2, 1, requires_grad=True)]
    adam = ReplicaAdam(parameters, learning_rate=0.1)
    parameters[0].grad = torch.tensor([[2.0, 3.0], [0.0, 0.0]])
    parameters[1].grad = torch.tensor([[6.0], [5.0]])
    torch.testing.assert_close(adam.norms(), torch.tensor([7.0, 5.0]))
