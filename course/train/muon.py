"""Muon, an optimizer for hidden layers' matrices (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

A matrix's momentum is replaced by the nearest matrix whose singular values are all about 1: directions with rare
gradients move as far as common ones. With it our models need a third to half of AdamW's steps.

`torch.optim.Muon` does the same for linear layers, but not for convolutions, and it multiplies in bfloat16, which is
fine on a GPU but 30 times slower than float32 on a CPU without bfloat16 instructions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic that moves all singular values in 0 … 1 close to 1 within five iterations, from Jordan et al."""


def newton_schulz(matrices: Tensor) -> Tensor:
    """Return matrices (n, rows, columns), rows ≤ columns, with the same singular vectors and singular values near 1."""
    a, b, c = COEFFICIENTS
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if x.is_cuda:
        x = x.bfloat16()
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for weights of two or more dimensions; a convolution's (out, in, h, w) is treated as (out, in · h · w).

    Updates are scaled to the size of AdamW's, to make learning rates comparable (Liu et al. 2025, arXiv:2502.16982).
    """

    def __init__(self, weights: list[nn.Parameter], lr: float, weight_decay: float):
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            by_shape: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
            for weight, direction in zip(weights, self._directions(weights), strict=True):
                rows = weight.shape[0]
                by_shape.setdefault((rows, weight.numel() // rows), []).append((weight, direction))
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            for (rows, columns), pairs in by_shape.items():
                directions = torch.stack([direction.reshape(rows, columns) for _, direction in pairs])
                tall = rows > columns
                updates = newton_schulz(directions.mT if tall else directions)
                updates = (updates.mT if tall else updates).unbind()
                scale = group["lr"] * 0.2 * max(rows, columns) ** 0.5
                shaped = [update.reshape(weight.shape) for (weight, _), update in zip(pairs, updates, strict=True)]
                torch._foreach_add_([weight for weight, _ in pairs], shaped, alpha=-scale)

    def _directions(self, weights: list[nn.Parameter]) -> list[Tensor]:
        """Return the Nesterov momenta."""
        for weight in weights:
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        momenta, grads = [self.state[weight]["momentum"] for weight in weights], [weight.grad for weight in weights]
        torch._foreach_lerp_(momenta, grads, 1 - MOMENTUM)
        return list(torch._foreach_lerp(grads, momenta, MOMENTUM))


def matrices(modules: nn.Module) -> list[nn.Parameter]:
    """Return the weights for Muon: those of trainable linear layers and convolutions."""
    layers = (module for module in modules.modules() if isinstance(module, nn.Linear | nn.Conv2d))
    return [layer.weight for layer in layers if layer.weight.requires_grad]
