"""Matplotlib figures with alt text, and three kinds of them that the notebooks use."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from helpers.show.html import display_html, img

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

__all__ = ["chain", "confidences", "plot", "projection"]


def plot(figure: Figure, alt: str, *, width: int = 640) -> None:
    """Show a matplotlib figure as a picture with alt text, and close it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    display_html(img(buffer.getvalue(), "png", alt, f"width:{width}px;max-width:100%"))


def confidences(groups: Mapping[str, Sequence[float]], *, width: int = 520) -> None:
    """Show a histogram of confidences (from 0 to 1, ten bins) for each group of answers."""
    import matplotlib.pyplot as plt

    figure, rows = plt.subplots(len(groups), sharex=True, squeeze=False, figsize=(6, 1.5 * len(groups)))
    for axes, (name, scores) in zip(rows[:, 0], groups.items(), strict=True):
        axes.hist(scores, bins=[i / 10 for i in range(11)], edgecolor="white")
        axes.set_title(f"{name} ({len(scores)})", loc="left", fontsize=10)
        axes.set_ylabel("answers")
        axes.yaxis.get_major_locator().set_params(integer=True)
    rows[-1, 0].set(xlabel="confidence", xlim=(0, 1))
    figure.tight_layout()
    words = "; ".join(f"{name}: {_spread(scores)}" for name, scores in groups.items())
    plot(figure, alt=f"Histograms of the model's confidence in its answers, in ten bins. {words}.", width=width)


def _spread(scores: Sequence[float]) -> str:
    """Describe a group's confidences in words."""
    if not len(scores):
        return "no answers"
    ranked = sorted(scores)
    middle = ranked[len(ranked) // 2]
    count = f"{len(ranked)} answer{'s' if len(ranked) > 1 else ''}"
    return f"{count} from {ranked[0]:.2f} to {ranked[-1]:.2f}, half of them at {middle:.2f} or more"


def chain(stages: Sequence[tuple[str, str, str]], what: str, *, width: int = 860) -> None:
    """Show a data flow as boxes joined by arrows, from left to right.

    Args:
        stages: for each box its name, its output (written below it) and its colour.
        what: a name for the whole, for the alt text, such as "The data flow of BLIP-2".
        width: of the picture, in pixels.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2 * len(stages), 1.6), layout="constrained")
    boxes = []
    for x, (name, output, colour) in enumerate(stages):
        box = {"boxstyle": "round,pad=0.5", "facecolor": colour, "edgecolor": "none"}
        boxes.append(axes.text(x, 0.62, name, ha="center", va="center", fontsize=9.5, bbox=box).get_bbox_patch())
        axes.text(x, 0.08, output, ha="center", va="center", fontsize=9)
    for x, (left, right) in enumerate(itertools.pairwise(boxes)):
        arrow = {"arrowstyle": "->", "patchA": left, "patchB": right, "shrinkA": 2, "shrinkB": 2}
        axes.annotate("", (x + 1, 0.62), (x, 0.62), arrowprops=arrow)
    axes.set(xlim=(-0.5, len(stages) - 0.5), ylim=(-0.15, 1))
    axes.axis("off")
    words = "; ".join(f"{' '.join(name.split())} gives {' '.join(output.split())}" for name, output, _ in stages)
    plot(figure, alt=f"{what}, from left to right: {words}.", width=width)


def projection(groups: Mapping[str, np.ndarray], *, pairs: tuple[str, str] | None = None, width: int = 620) -> None:
    """Show vectors as points in the plane of their first two principal components (PCA, Pearson 1901).

    The axis labels give each component's share of the whole spread (the variance).

    Args:
        groups: for each name its vectors, an array (n, d); each group has its own colour and marker.
        pairs: two groups of the same size; a thin line joins the first vectors of both, the second, and so on.
        width: of the picture, in pixels.

    Raises:
        ValueError: there are fewer than three vectors, or the groups of `pairs` differ in size.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    points, shares = _principal_plane(np.concatenate([np.asarray(vectors, float) for vectors in groups.values()]))
    starts = np.cumsum([len(vectors) for vectors in groups.values()])[:-1]
    placed = dict(zip(groups, np.split(points, starts), strict=True))

    one, other = (placed[name] for name in pairs) if pairs else ([], [])
    if len(one) != len(other):
        raise ValueError(f"pairs expects two groups of equal size, but got {len(one)} and {len(other)} vectors")

    figure, axes = plt.subplots(figsize=(7, 5))
    for ends in zip(one, other, strict=True):
        axes.plot(*np.transpose(ends), color="grey", linewidth=0.5, alpha=0.5, zorder=1)
    for (name, group), marker in zip(placed.items(), itertools.cycle("osD^vP*X<>"), strict=False):
        axes.scatter(*group.T, s=22, marker=marker, label=name, alpha=0.8, linewidths=0)
    axes.set(xlabel=f"first direction ({shares[0]:.0%} of the spread)", ylabel=f"second ({shares[1]:.0%})")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    words = f"{len(points)} vectors as points in a plane that shows {sum(shares):.0%} of their spread"
    plot(figure, alt=f"{words}. {_separation(placed)}.", width=width)


def _principal_plane(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors (n, d) in the plane of their first two principal components, (n, 2), and each one's share."""
    import numpy as np

    if len(vectors) < 3:
        raise ValueError(f"a projection needs at least three vectors, but got {len(vectors)}")
    centred = vectors - vectors.mean(axis=0)
    _, singular_values, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ axes[:2].T, singular_values[:2] ** 2 / (singular_values**2).sum()


def _separation(placed: Mapping[str, np.ndarray]) -> str:
    """Describe in words how well groups of points in a plane are separated."""
    import numpy as np

    centres = np.stack([points.mean(axis=0) for points in placed.values()])

    def nearest(number: int, points: np.ndarray) -> float:
        return (np.linalg.norm(points[:, None] - centres, axis=-1).argmin(axis=1) == number).mean()

    return "; ".join(
        f"{name}: {len(points)} points, {nearest(number, points):.0%} of them nearest to the centre of their own group"
        for number, (name, points) in enumerate(placed.items())
    )
