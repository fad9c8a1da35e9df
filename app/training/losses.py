"""The contrastive losses: pictures against captions in both directions."""

import torch
from torch import Tensor
from torch.nn import functional


def picture_to_text(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of logits [N, K] against soft targets [N, K] whose rows sum to 1."""
    return -(targets * functional.log_softmax(logits, dim=1)).sum(dim=1).mean()


def text_to_picture(logits: Tensor, targets: Tensor) -> Tensor:
    """For every text that some picture shows: cross-entropy over the pictures, all its pictures being right."""
    columns = targets.sum(dim=0)
    shown = columns > 0.5
    right = targets[:, shown] / columns[shown]
    return -(right * functional.log_softmax(logits[:, shown], dim=0)).sum(dim=0).mean()


def smooth(labels: Tensor, among: int, width: int, amount: float) -> Tensor:
    """One-hot targets [N, width] with `amount` spread over the first `among` columns."""
    targets = functional.one_hot(labels, width).float() * (1 - amount)
    targets[:, :among] += amount / among
    return targets


def unit(x: Tensor) -> Tensor:
    """Rows of length 1, in float32."""
    return functional.normalize(x.float(), dim=1)


def columns(first: Tensor, others: Tensor, rows: int) -> Tensor:
    """Targets of groceries [n, a] and of other pictures [m, b] side by side: [n + m, rows]."""
    n, a = first.shape
    m, b = others.shape
    targets = torch.zeros(n + m, rows)
    targets[:n, :a], targets[n:, a : a + b] = first, others
    return targets
