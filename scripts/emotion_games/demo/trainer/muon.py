"""The optimiser Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) in float32.

`torch.optim.Muon` computes in bfloat16, which takes ten times as long on most processors.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
# Of each step of the iteration, and the number of steps (Jordan et al.).
COEFFICIENTS, STEPS = (3.4445, -4.7750, 2.0315), 5


class Muon(torch.optim.Optimizer):
    """Gradient descent with momentum, in which the update of every matrix is orthogonal."""

    def __init__(self, matrices: Iterable[Tensor], lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # without a closure
        """Make one update."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                by_shape.setdefault(matrix.shape, []).append(matrix)
            # Matrices of one shape share their matrix products, which saves half of the time.
            for (rows, columns), alike in by_shape.items():
                updates = orthogonal(torch.stack([self._smoothed(each) for each in alike]))
                rate = group["lr"] * max(1, rows / columns) ** 0.5
                for matrix, update in zip(alike, updates, strict=True):
                    matrix.add_(update, alpha=-rate)

    def _smoothed(self, matrix: Tensor) -> Tensor:
        """Return the gradient with Nesterov momentum."""
        assert matrix.grad is not None
        mean = self.state[matrix].setdefault("mean", torch.zeros_like(matrix))
        mean.lerp_(matrix.grad, 1 - MOMENTUM)
        return matrix.grad.lerp(mean, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """Bring the singular values of matrices `(number, rows, columns)` near 1; zeros stay zero."""
    wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    first, second, third = COEFFICIENTS
    for _ in range(STEPS):
        square = wide @ wide.mT
        wide = first * wide + (second * square + third * square @ square) @ wide
    return wide.mT if matrices.shape[1] > matrices.shape[2] else wide
