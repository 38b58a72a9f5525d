"""Pictures made of tensors and of other pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["mosaic", "spotlight", "to_pil"]


def to_pil(pixels: torch.Tensor) -> Image.Image:
    """Turn a tensor (3, H, W) with values from -1 to 1 into a picture; values outside are clipped."""
    from PIL import Image

    if pixels.ndim != 3 or pixels.shape[0] != 3:
        raise ValueError(
            f"to_pil expects one picture, shape (3, H, W), but got {tuple(pixels.shape)}; "
            "take one out of a batch with batch[0]"
        )
    pixels = (pixels.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    return Image.fromarray(pixels.round().byte().permute(1, 2, 0).numpy())


def mosaic(tiles: Sequence[Image.Image], columns: int, *, gap: int = 0) -> Image.Image:
    """Join pictures of one size into one, row by row, with a white gap (in pixels) between them."""
    from PIL import Image

    if not tiles or len(tiles) % columns or len({tile.size for tile in tiles}) > 1:
        raise ValueError(
            f"mosaic expects full rows of {columns} pictures of one size, but got {len(tiles)} pictures "
            f"of {len({tile.size for tile in tiles})} sizes"
        )
    width, height = (side + gap for side in tiles[0].size)
    joined = Image.new("RGB", (columns * width - gap, len(tiles) // columns * height - gap), "white")
    for i, tile in enumerate(tiles):
        joined.paste(tile, (i % columns * width, i // columns * height))
    return joined


def spotlight(image: Image.Image, weights: torch.Tensor) -> Image.Image:
    """Darken a picture where weights are small, for example attention weights.

    The patch with the largest weight stays as bright as it is; one with weight 0 is nearly black.

    Args:
        image: the picture.
        weights: tensor (rows, columns), at least 0, one number per patch.
    """
    from PIL import Image

    if weights.ndim != 2:
        raise ValueError(f"spotlight expects one weight per patch, shape (rows, columns), but got {weights.shape}")
    light = (weights.detach().float().cpu() / weights.max().item() * 255).round().byte()
    light = Image.fromarray(light.numpy()).resize(image.size, Image.Resampling.NEAREST)
    image = image.convert("RGB")
    return Image.composite(image, Image.eval(image, lambda value: value // 7), light)
