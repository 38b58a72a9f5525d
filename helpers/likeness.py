"""When are two pictures the same? Pixel by pixel, but for rounding; or to the eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

__all__ = ["NEAR", "TOLERANCE", "difference", "near_duplicate", "same_drawing"]

#: The largest `difference` at which two pictures count as the same drawing. Measured with the mini model on a CPU: alone
#: against in a batch, one thread against two, and the same 16 pictures in two runs, 0.000; 24 steps against 25, 0.5;
#: guidance 4.2 against 4, 0.8. With another seed the 16 pictures of notebook 07 differ by 11 to 39 (25 steps); after
#: fewer steps, when all pictures of a prompt are still alike, 15 prompts by 6 to 32 (8 steps) and 26 prompts by at least
#: 8 (3 steps). Another prompt: 118. The rest is room for other processors' rounding.
TOLERANCE = 2.0
#: The mean difference of two thumbnails, in the 256 steps of a channel, below which they show the same. Measured: a
#: drawing against its JPEG of quality 60 at most 2.1, doubled in size 0.2; the two nearest of 16 of the mini diffusion
#: model's pictures 23, of 100 drawn scenes 6.1.
NEAR = 4.0
THUMBNAIL = 32


def difference(first: Image.Image, second: Image.Image) -> float:
    """The mean absolute difference of two RGB pictures of one size, in the 256 steps of a channel."""
    import numpy as np

    return float(np.abs(np.asarray(first, dtype=float) - np.asarray(second, dtype=float)).mean())


def same_drawing(first: Image.Image, second: Image.Image) -> bool:
    """Whether two RGB pictures are what a model drew from the same seed: the same size, and pixels equal but for rounding."""
    return first.size == second.size and difference(first, second) <= TOLERANCE


def near_duplicate(first: Image.Image, second: Image.Image) -> bool:
    """Whether two pictures are the same to the eye, whatever their size, compression and small changes."""
    return bool(abs(_thumbnail(first) - _thumbnail(second)).mean() < NEAR)


def _thumbnail(image: Image.Image) -> np.ndarray:
    import numpy as np
    from PIL import Image

    return np.asarray(image.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), dtype=float)
