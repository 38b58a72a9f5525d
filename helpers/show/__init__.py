"""Show pictures, numbers and tokens in a notebook, each picture with alt text for those who can't see it.

Everything is plain HTML that the notebook keeps as a cell's output: it needs no widget library, leaves no widget state
in the file, and on a page that runs no scripts (GitHub's, say) every picture is still visible.

Modules, in reading order: `html` (a picture as HTML with alt text), `images` (pictures made of pictures and tensors),
`pictures` (galleries, grids, a slider), `tables` (numbers and tokens), `plots` (matplotlib).
"""

from helpers.show.html import display_html, picture_html
from helpers.show.images import mosaic, spotlight, to_pil
from helpers.show.pictures import compare, gallery, grid, scrubber
from helpers.show.plots import chain, confidences, plot, projection
from helpers.show.tables import bars, matrix, tokens

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
