"""A velocity that can be computed by hand, in place of a network; it records its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from helpers.checks.expect import expect
from helpers.checks.words import described

if TYPE_CHECKING:
    import torch

__all__ = ["Asked", "Velocity"]


class Asked(NamedTuple):
    """One call of a model."""

    x: torch.Tensor
    t: object
    condition: torch.Tensor | None


class Velocity:
    """A model (x, t, condition) → sin(x) · (1 + t) + the condition's number, or − 1 for no condition.

    It depends on all three, so that whoever gives it something else gets something else back.

    Attributes:
        asked: its calls.
    """

    __name__ = "model"

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def __call__(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        import torch

        expect(
            torch.is_tensor(x) and isinstance(t, (float, int, torch.Tensor)),
            f"The model was called with {described(x)} and {described(t)}; call it as model(x, t, condition).",
        )
        self.asked.append(Asked(x.detach().clone(), t, condition))
        return self.of(x, t, condition)

    @staticmethod
    def of(x: torch.Tensor, t: torch.Tensor | float, condition: torch.Tensor | None) -> torch.Tensor:
        """Return the velocity without recording anything."""
        import torch

        t = torch.as_tensor(t, dtype=x.dtype)
        if t.ndim and t.numel() in (1, len(x)):
            t = t.reshape(-1, *[1] * (x.ndim - 1))
        number = torch.tensor(-1.0) if condition is None else condition.float().reshape(-1, *[1] * (x.ndim - 1))
        return x.sin() * (1 + t) + number.to(x.dtype)
