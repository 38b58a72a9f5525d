"""Are two pictures the same? Pixel by pixel, apart from rounding; or to the eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

__all__ = ["NEAR", "TOLERANCE", "difference", "near_duplicate", "same_drawing"]

#: The largest `difference` at which two pictures count as the same drawing. Measured with the mini model on a CPU:
#: drawn alone or in a batch, with one thread or two, and in two runs, 16 pictures differ by 0.000; with 24 steps
#: instead of 25 by 0.5; with guidance 4.2 instead of 4 by 0.8. Another seed changes the 16 pictures of notebook 07 by
#: 11 to 39 (25 steps); with fewer steps, when all pictures of a prompt still look similar, those of 15 prompts by 6 to
#: 32 (8 steps) and of 26 prompts by at least 8 (3 steps). Another prompt: 118. The rest is a margin for other
#: processors' rounding.
TOLERANCE = 2.0
#: The mean difference of two thumbnails (in grey levels, 0 to 255) below which they show the same. Measured: a drawing
#: and its JPEG of quality 60 at most 2.1, and its double size 0.2; the two most similar of 16 pictures of the mini
#: diffusion model 23, of 100 drawn scenes 6.1, one of them mirrored 7.0, turned 11.7.
NEAR = 4.0
THUMBNAIL = 32


def difference(first: Image.Image, second: Image.Image) -> float:
    """Return the mean absolute difference of two RGB pictures of one size, in grey levels (0 to 255)."""
    import numpy as np

    return float(np.abs(np.asarray(first, dtype=float) - np.asarray(second, dtype=float)).mean())


def same_drawing(first: Image.Image, second: Image.Image) -> bool:
    """Return whether two RGB pictures were drawn from the same seed: same size, equal pixels apart from rounding."""
    return first.size == second.size and difference(first, second) <= TOLERANCE


def near_duplicate(first: Image.Image, second: Image.Image) -> bool:
    """Return whether two pictures look the same, even mirrored or turned, whatever their size and compression."""
    import numpy as np

    one, other = _thumbnail(first), _thumbnail(second)
    turned = (np.rot90(side, quarters) for side in (one, one[:, ::-1]) for quarters in range(4))
    return any(abs(each - other).mean() < NEAR for each in turned)


def _thumbnail(image: Image.Image) -> np.ndarray:
    import numpy as np
    from PIL import Image

    return np.asarray(image.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), dtype=float)
