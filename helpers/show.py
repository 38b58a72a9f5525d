"""Show pictures in a notebook, each with words for those who cannot see it.

Everything is plain HTML that the notebook keeps as a cell's output: it needs no widget library, leaves no
widget state in the file, and on a page that runs no scripts (GitHub, say) every picture is still there.
"""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure
    from PIL import Image

__all__ = [
    "bars",
    "chain",
    "compare",
    "confidences",
    "display_html",
    "gallery",
    "grid",
    "matrix",
    "mosaic",
    "picture_html",
    "plot",
    "projection",
    "scrubber",
    "spotlight",
    "to_pil",
    "tokens",
]


def to_pil(pixels: torch.Tensor) -> Image.Image:
    """Turn a tensor (3, H, W) with values from -1 to 1 into a picture; values outside are clipped."""
    from PIL import Image

    if pixels.ndim != 3 or pixels.shape[0] != 3:
        raise ValueError(
            f"to_pil wants one picture, shape (3, H, W), but got {tuple(pixels.shape)}; "
            "take one out of a batch with batch[0]"
        )
    pixels = (pixels.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    return Image.fromarray(pixels.round().byte().permute(1, 2, 0).numpy())


def mosaic(tiles: Sequence[Image.Image], columns: int, *, gap: int = 0) -> Image.Image:
    """Join pictures of one size into one, row by row; with a gap (in pixels) they stand apart on white."""
    from PIL import Image

    if not tiles or len(tiles) % columns or len({tile.size for tile in tiles}) > 1:
        raise ValueError(
            f"mosaic wants full rows of {columns} pictures of one size, but got {len(tiles)} pictures "
            f"of {len({tile.size for tile in tiles})} sizes"
        )
    width, height = (side + gap for side in tiles[0].size)
    joined = Image.new("RGB", (columns * width - gap, len(tiles) // columns * height - gap), "white")
    for i, tile in enumerate(tiles):
        joined.paste(tile, (i % columns * width, i // columns * height))
    return joined


def spotlight(image: Image.Image, weights: torch.Tensor) -> Image.Image:
    """Light a picture where weights are large: tensor (rows, columns), at least 0, one number for each patch.

    The patch with the largest weight stays as bright as it is; one with weight 0 is nearly black.
    """
    from PIL import Image

    if weights.ndim != 2:
        raise ValueError(f"spotlight wants one weight for each patch, shape (rows, columns), but got {weights.shape}")
    light = (weights.detach().float().cpu() / weights.max().item() * 255).round().byte()
    light = Image.fromarray(light.numpy()).resize(image.size, Image.Resampling.NEAREST)
    image = image.convert("RGB")
    return Image.composite(image, Image.eval(image, lambda value: value // 7), light)


def gallery(
    images: Sequence[Image.Image],
    captions: Sequence[str],
    *,
    alt: Sequence[str] | None = None,
    width: int = 160,
) -> None:
    """Show pictures in a row that wraps, a caption under each; `alt` says more where the caption is short."""
    display_html(_gallery_html(images, captions, alt, width))


def compare(yours: Image.Image, expected: Image.Image, *, alt: str, width: int = 200) -> None:
    """Show a picture of yours beside the expected one; `alt` names what both should show."""
    display_html(_gallery_html([yours, expected], ["yours", "expected"], [f"yours: {alt}", f"expected: {alt}"], width))


def grid(
    images: Sequence[Sequence[Image.Image]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    alt: str,
    width: int = 110,
) -> None:
    """Show rows of pictures as a table with a label for each row and column; `alt` names what all of them show."""
    display_html(_grid_html(images, row_labels, column_labels, alt, width))


def scrubber(images: Sequence[Image.Image], captions: Sequence[str], *, alt: str, width: int = 280) -> None:
    """Show pictures one at a time, chosen with a slider (mouse or arrow keys); starts at the last one."""
    display_html(_scrubber_html(images, captions, alt, width))


def matrix(
    values: Sequence[Sequence[float]],
    images: Sequence[Image.Image],
    texts: Sequence[str],
    *,
    alt: Sequence[str],
    width: int = 84,
) -> None:
    """Show a table of numbers, a row for each text and a column for each picture; the larger, the deeper its blue.

    The largest number of each column, the picture's best text, is bold. `alt` names the pictures.
    """
    display_html(_matrix_html(values, images, texts, alt, width))


def bars(scores: Mapping[str, float], title: str, *, right: str | None = None) -> None:
    """Show scores from 0 to 1 as bars with their labels; the right one, where there is one, gets a tick."""
    display_html(_bars_html(scores, title, right))


def confidences(groups: Mapping[str, Sequence[float]], *, width: int = 520) -> None:
    """Show, for each group of answers, how many were given with which confidence (from 0 to 1), in ten steps."""
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
    plot(figure, alt=f"How sure the model was of its answers, counted in steps of a tenth. {words}.", width=width)


def chain(stages: Sequence[tuple[str, str, str]], what: str, *, width: int = 860) -> None:
    """Show how one thing hands on to the next, as boxes with arrows between them, from left to right.

    stages: for each box its name, what it gives (written below it) and its colour.
    what: what the chain is, for the alt text, such as "The way through BLIP-2".
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2 * len(stages), 1.6), layout="constrained")
    boxes = []
    for x, (name, gives, colour) in enumerate(stages):
        box = {"boxstyle": "round,pad=0.5", "facecolor": colour, "edgecolor": "none"}
        boxes.append(axes.text(x, 0.62, name, ha="center", va="center", fontsize=9.5, bbox=box).get_bbox_patch())
        axes.text(x, 0.08, gives, ha="center", va="center", fontsize=9)
    for x, (left, right) in enumerate(itertools.pairwise(boxes)):
        arrow = {"arrowstyle": "->", "patchA": left, "patchB": right, "shrinkA": 2, "shrinkB": 2}
        axes.annotate("", (x + 1, 0.62), (x, 0.62), arrowprops=arrow)
    axes.set(xlim=(-0.5, len(stages) - 0.5), ylim=(-0.15, 1))
    axes.axis("off")
    way = "; ".join(f"{' '.join(name.split())} gives {' '.join(gives.split())}" for name, gives, _ in stages)
    plot(figure, alt=f"{what}, from left to right: {way}.", width=width)


def projection(groups: Mapping[str, np.ndarray], *, pairs: tuple[str, str] | None = None, width: int = 620) -> None:
    """Show vectors as points in the plane in which all of them together are spread out the most (PCA, Pearson 1901).

    groups: for each name its vectors, an array (n, d); each group has a colour and a mark of its own.
    pairs: two groups of equally many vectors; a thin line joins the first of one with the first of the other, and so on.

    The axes say which share of the whole spread (the variance) is in them. Raises ``ValueError`` for fewer than three
    vectors, and for pairs that don't go up.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    points, shares = _principal_plane(np.concatenate([np.asarray(vectors, float) for vectors in groups.values()]))
    starts = np.cumsum([len(vectors) for vectors in groups.values()])[:-1]
    placed = dict(zip(groups, np.split(points, starts), strict=True))

    one, other = (placed[name] for name in pairs) if pairs else ([], [])
    if len(one) != len(other):
        raise ValueError(f"pairs wants two groups of equal size, but got {len(one)} and {len(other)} vectors")

    figure, axes = plt.subplots(figsize=(7, 5))
    for ends in zip(one, other, strict=True):
        axes.plot(*np.transpose(ends), color="grey", linewidth=0.5, alpha=0.5, zorder=1)
    for (name, group), mark in zip(placed.items(), itertools.cycle("osD^vP*X<>"), strict=False):
        axes.scatter(*group.T, s=22, marker=mark, label=name, alpha=0.8, linewidths=0)
    axes.set(xlabel=f"first direction ({shares[0]:.0%} of the spread)", ylabel=f"second ({shares[1]:.0%})")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    plot(
        figure,
        alt=f"{len(points)} vectors as points in a plane that shows {sum(shares):.0%} of their spread. {_apart(placed)}.",
        width=width,
    )


def _principal_plane(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vectors (n, d) in the plane of their first two principal components, (n, 2), and the share of each."""
    import numpy as np

    if len(vectors) < 3:
        raise ValueError(f"a projection needs at least three vectors, but got {len(vectors)}")
    centred = vectors - vectors.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ axes[:2].T, spread[:2] ** 2 / (spread**2).sum()


def _apart(placed: Mapping[str, np.ndarray]) -> str:
    """In words, how well groups of points in a plane stand apart."""
    import numpy as np

    centres = np.stack([points.mean(axis=0) for points in placed.values()])

    def at_home(number: int, points: np.ndarray) -> float:
        nearest = np.linalg.norm(points[:, None] - centres, axis=-1).argmin(axis=1)
        return (nearest == number).mean()

    told = [
        f"{name}: {len(points)} points, {at_home(number, points):.0%} of them nearest to the middle of their own group"
        for number, (name, points) in enumerate(placed.items())
    ]
    return "; ".join(told)


def plot(figure: Figure, alt: str, *, width: int = 640) -> None:
    """Show a matplotlib figure as a picture with alt text, and close it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    display_html(_img(buffer.getvalue(), "png", alt, f"width:{width}px;max-width:100%"))


def tokens(
    pieces: Sequence[str],
    ids: Sequence[int] | None = None,
    *,
    marked: Sequence[bool] | None = None,
    meaning: str = "",
) -> None:
    """Show the tokens of a text side by side, each in a box of its own, with its number below where there are ids.

    Where there are marks, the marked tokens are blue, and a line below says what that means.
    """
    display_html(_tokens_html(pieces, ids, marked, meaning))


def picture_html(image: Image.Image, alt: str, *, width: int = 160) -> str:
    """A picture as an <img> element that holds its data, for HTML of your own."""
    return _picture(image, alt, width)


def display_html(html: str) -> None:
    """Show HTML under the cell."""
    from IPython.display import HTML, display

    display(HTML(html))


def _img(data: bytes, kind: str, alt: str, style: str) -> str:
    if not alt.strip():
        raise ValueError("every picture needs alt text: a few words that say what it shows")
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<img src="{source}" alt="{escape(alt)}" style="{style}">'


def _picture(image: Image.Image, alt: str, width: int, kind: str = "png") -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format=kind)
    return _img(buffer.getvalue(), kind, alt, f"width:{width}px;max-width:100%;border-radius:6px;margin:0")


def _same_number(images: Sequence, words: Sequence, what: str, of: str = "pictures") -> None:
    if isinstance(words, str) or len(images) != len(words):
        got = "one string" if isinstance(words, str) else f"{len(words)}"
        raise ValueError(f"expected one of {what} for each of the {len(images)} {of}, but got {got}")


def _gallery_html(images, captions, alt, width) -> str:
    alt = captions if alt is None else alt
    _same_number(images, captions, "captions")
    _same_number(images, alt, "alt")
    figures = "".join(
        f'<figure style="margin:0;width:{width}px">{_picture(image, words, width)}'
        f'<figcaption style="font-size:85%;text-align:center">{escape(caption)}</figcaption></figure>'
        for image, caption, words in zip(images, captions, alt, strict=True)
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:10px">{figures}</div>'


def _grid_html(images, row_labels, column_labels, alt, width) -> str:
    _same_number(images, row_labels, "row_labels")
    head = "".join(f'<th scope="col" style="text-align:center">{escape(label)}</th>' for label in column_labels)
    body = ""
    for row, label in zip(images, row_labels, strict=True):
        _same_number(row, column_labels, "column_labels")
        cells = "".join(
            f'<td style="padding:3px">{_picture(image, f"{alt}; {label}, {column}", width)}</td>'
            for image, column in zip(row, column_labels, strict=True)
        )
        body += f'<tr><th scope="row" style="text-align:right">{escape(label)}</th>{cells}</tr>'
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def _tokens_html(pieces, ids, marked, meaning) -> str:
    numbers = [""] * len(pieces)
    if ids is not None:
        _same_number(pieces, ids, "ids", of="tokens")
        numbers = [f'<div style="font-size:75%">{int(number)}</div>' for number in ids]
    marks, legend = [False] * len(pieces), ""
    if marked is not None:
        _same_number(pieces, marked, "marked", of="tokens")
        marks = [bool(mark) for mark in marked]
        legend = f"<div>{sum(marks)} of {len(marks)} tokens are blue: {escape(meaning)}.</div>"

    def box(piece: str, number: str, mark: bool) -> str:
        colours = "background:#3c82f0;color:white" if mark else ""
        text = f'<code style="white-space:pre;background:none;color:inherit">{escape(piece)}</code>'
        style = f"border:1px solid #8888;border-radius:4px;padding:2px 5px;text-align:center;{colours}"
        title = f' title="{escape(meaning)}"' if mark else ""
        return f'<div role="listitem"{title} style="{style}">{text}{number}</div>'

    boxes = "".join(map(box, pieces, numbers, marks))
    row = f'<div role="list" aria-label="tokens" style="display:flex;flex-wrap:wrap;gap:3px">{boxes}</div>'
    return row + legend


def _scrubber_html(images, captions, alt, width) -> str:
    """All pictures are in the page; the script hides all but one, so without scripts they form a film strip.

    JupyterLab listens for keys at the document and would take the arrow keys for itself; the window hears
    of them first, and lets nobody else hear of those that are the slider's.
    """
    _same_number(images, captions, "captions")
    if not images:
        raise ValueError("a scrubber needs at least one picture")
    name, last = f"scrubber-{uuid4().hex}", len(images) - 1
    frames = "".join(
        f'<figure class="frame" style="margin:0">{_picture(image, f"{alt}; {caption}", width, "jpeg")}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for image, caption in zip(images, captions, strict=True)
    )
    return f"""<div id="{name}"><div style="display:flex;flex-wrap:wrap;gap:10px">{frames}</div></div>
<script>(() => {{
  const box = document.getElementById("{name}"), frames = box.querySelectorAll(".frame");
  const slider = Object.assign(document.createElement("input"), {{type: "range", min: 0, max: {last}, value: {last}}});
  slider.setAttribute("aria-label", "step");
  slider.style.width = "{width}px";
  const choose = () => frames.forEach((frame, i) => frame.style.display = i == slider.value ? "block" : "none");
  slider.addEventListener("input", choose);
  const mine = event => event.target === slider && event.stopPropagation();
  addEventListener("keydown", mine, true);
  box.append(slider);
  choose();
}})();</script>"""


def _matrix_html(values, images, texts, alt, width) -> str:
    _same_number(images, alt, "alt")
    rows = [[float(value) for value in row] for row in values]
    if [len(row) for row in rows] != [len(images)] * len(texts):
        raise ValueError(
            f"matrix wants {len(texts)} rows, one for each text, of {len(images)} numbers, one for each picture"
        )
    least, most = min(map(min, rows)), max(map(max, rows))
    best = [max(column) for column in zip(*rows, strict=True)]

    def cell(value: float, largest: float) -> str:
        depth = 0.75 * (value - least) / (most - least) if most > least else 0
        weight = "bold" if value == largest else "normal"
        style = f"background:rgba(60,130,240,{depth:.2f});font-weight:{weight};text-align:center;padding:6px"
        return f'<td style="{style}">{value:.2f}</td>'

    head = "".join(
        f'<th scope="col" style="padding:3px">{_picture(image, words, width)}</th>'
        for image, words in zip(images, alt, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row" style="text-align:right;font-weight:normal">{escape(text)}</th>'
        f"{''.join(map(cell, row, best))}</tr>"
        for text, row in zip(texts, rows, strict=True)
    )
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def _bars_html(scores, title, right) -> str:
    rows = "".join(
        f'<tr><th scope="row" style="text-align:right;font-weight:normal">{escape(label)}'
        f"{' ✓' if label == right else ''}</th>"
        f'<td style="width:260px;text-align:left;padding:3px"><div style="background:#3c82f0;height:0.9em;'
        f'width:{min(max(score, 0), 1):.1%}"></div></td><td>{score:.1%}</td></tr>'
        for label, score in scores.items()
    )
    caption = f'<caption style="text-align:left;font-weight:bold">{escape(title)}</caption>'
    return f"<table>{caption}<tbody>{rows}</tbody></table>"


def _spread(scores: Sequence[float]) -> str:
    """A group's confidences in words."""
    if not len(scores):
        return "no answers"
    ranked = sorted(scores)
    middle = ranked[len(ranked) // 2]
    count = f"{len(ranked)} answer{'s' if len(ranked) > 1 else ''}"
    return f"{count} from {ranked[0]:.2f} to {ranked[-1]:.2f}, half of them at {middle:.2f} or more"
