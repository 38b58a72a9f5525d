"""Watch a network learn: a bar with the time left, its pictures so far, and its loss on pictures it has not learned from."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import torch

from helpers.show import mosaic, picture_html
from helpers.speedrun.world import to_images

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Watch"]

BAR_EVERY = 1.0
"""Seconds between two updates of the bar."""
PICTURES = 15
PICTURES_EVERY = 5.0
"""How often pictures are drawn in the whole time, and the least seconds between two of them."""


class Watch:
    """A `draw_batch` that shows the training's progress whenever it is asked for a batch.

    `train(model, watch, …)` draws its batches through it, so `train` itself need not know that anybody watches.

    Args:
        model: the network that is trained.
        draw_batch: returns the next batch.
        seconds: how long the training takes.
        sample: draws pictures with the model, (n, 3, height, width) in -1 … 1.
        loss: the model's loss on pictures that it does not learn from.

    Attributes:
        samples: how many samples have been drawn so far.
        losses: pairs (seconds, loss), one for each time that pictures were drawn.
    """

    def __init__(
        self,
        model: nn.Module,
        draw_batch: Callable[[], tuple[torch.Tensor, torch.Tensor]],
        *,
        seconds: float,
        sample: Callable[[nn.Module], torch.Tensor],
        loss: Callable[[nn.Module], float],
    ):
        self.model, self.draw_batch, self.seconds = model, draw_batch, seconds
        self.sample, self.loss = sample, loss
        self.samples, self.losses = 0, []
        self._started = self._bar_due = self._pictures_due = 0.0
        self._handle, self._picture = None, ""

    def __call__(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next batch; show the progress if it is time."""
        now = time.perf_counter()
        self._started = self._started or now
        if now >= self._bar_due:
            self._show(now - self._started, draw=now >= self._pictures_due)
        batch = self.draw_batch()
        self.samples += len(batch[0])
        return batch

    def close(self) -> None:
        """Show the final pictures; call this when the training has ended."""
        self._show(time.perf_counter() - self._started, draw=True)

    def _show(self, passed: float, *, draw: bool) -> None:
        from IPython.display import HTML, display

        if draw:
            self._draw(passed)
            self._pictures_due = time.perf_counter() + max(PICTURES_EVERY, self.seconds / PICTURES)
        left = max(0.0, self.seconds - passed)
        status = f"{passed:.0f} s of {self.seconds:.0f} s, {left:.0f} s left; {self.samples:,} samples"
        page = HTML(
            f'<div><progress value="{min(passed, self.seconds):.1f}" max="{self.seconds:.1f}" style="width:420px" '
            f'aria-label="training"></progress> {escape(status)}<br>{self._picture}{curve(self.losses, self.seconds)}</div>'
        )
        if self._handle is None:
            self._handle = display(page, display_id=True)
        elif self._handle:
            self._handle.update(page)
        self._bar_due = time.perf_counter() + BAR_EVERY

    @torch.no_grad()
    def _draw(self, passed: float) -> None:
        with torch.random.fork_rng(devices=[]):  # watching must not change what is learned
            images = to_images(self.sample(self.model))
            self.losses.append((passed, float(self.loss(self.model))))
        enlarged = [image.resize((120, 120), resample=0) for image in images]
        alt = f"{len(images)} pictures that the network draws after {passed:.0f} seconds of training"
        self._picture = picture_html(mosaic(enlarged, min(len(images), 4), gap=4), alt, width=496)


def curve(losses: list[tuple[float, float]], seconds: float) -> str:
    """Return the loss over the time as an SVG drawing with its figures in words."""
    if len(losses) < 2:
        return ""
    top = max(loss for _, loss in losses)
    points = " ".join(f"{30 + 260 * at / max(seconds, at):.1f},{140 - 120 * loss / top:.1f}" for at, loss in losses)
    (_, first), (_, last) = losses[0], losses[-1]
    words = f"The loss on new pictures over the seconds of training, from {first:.3f} to {last:.3f}."
    return (
        f'<svg width="310" height="165" role="img" aria-label="{words}" style="vertical-align:top">'
        f'<path d="M30 15V140H295" fill="none" stroke="#888"/>'
        f'<polyline points="{points}" fill="none" stroke="#1f77b4" stroke-width="2"/>'
        f'<text x="30" y="12" font-size="11" fill="#888">loss on new pictures: {first:.3f} → {last:.3f}</text>'
        f'<text x="295" y="156" font-size="11" fill="#888" text-anchor="end">{seconds:.0f} s</text></svg>'
    )
