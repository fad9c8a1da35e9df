"""Steps are orthogonal, of a known length, and lead downhill."""

import pytest
import torch

from app.training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(8, 8), (6, 40), (40, 6)])
def test_the_singular_values_come_close_to_one(shape):
    """Directions stay as the singular value decomposition has them; lengths end between 0.6 and 1.3."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonal(matrix) @ right.T
    assert torch.all((turned.diagonal() > 0.6) & (turned.diagonal() < 1.3))
    assert (turned - turned.diagonal().diag()).abs().max() < 0.05


def test_a_zero_gradient_moves_nothing():
    """A block that is still switched off stays as it is."""
    weight = torch.nn.Parameter(torch.ones(4, 2, 3, 3))
    weight.grad = torch.zeros_like(weight)
    Muon([weight], 0.1, 0.0).step()
    assert torch.equal(weight, torch.ones(4, 2, 3, 3))


def test_steps_lead_to_the_least_loss():
    """Filters are fitted to a target by a falling rate, and weight decay alone shrinks them."""
    target = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(2))
    weight = torch.nn.Parameter(torch.zeros_like(target))
    muon = Muon([weight], 0.1, 0.0)
    for place in range(200):
        muon.param_groups[0]["lr"] = 0.1 * (1 - place / 200)
        muon.zero_grad()
        (weight - target).square().sum().backward()
        muon.step()
    assert (weight - target).abs().max() < 0.05
    weight.grad = torch.zeros_like(weight)
    before = weight.detach().clone()
    shrink = Muon([weight], 0.1, 0.5)
    shrink.step()
    torch.testing.assert_close(weight.detach(), before * 0.95)
