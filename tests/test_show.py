"""Every picture is shown with alt text, escaped; wrong numbers of captions are said in a sentence."""

import base64
import io
import re

import pytest
from PIL import Image

from helpers import show

RED, BLUE = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))


@pytest.fixture
def shown(monkeypatch):
    """The HTML that was shown, in order."""
    pages = []
    monkeypatch.setattr(show, "_display", pages.append)
    return pages


def pictures_in(html):
    return re.findall(r"<img [^>]*>", html)


def alts_in(html):
    return re.findall(r'alt="([^"]*)"', html)


def test_gallery_takes_the_captions_as_alt_text_unless_told_more(shown):
    show.gallery([RED, BLUE], ["a red one", "a blue one"])
    show.gallery([RED], ["1"], alt=["a red square"])
    assert alts_in(shown[0]) == ["a red one", "a blue one"]
    assert alts_in(shown[1]) == ["a red square"] and ">1</figcaption>" in shown[1]


def test_words_from_outside_cannot_become_html(shown):
    show.gallery([RED], ['"><script>alert(1)</script>'])
    show.grid([[RED]], ["<b>row"], ["<i>column"], alt="<u>all")
    for html in shown:
        assert not re.search(r"<(script|b|i|u)>", html)


def test_the_picture_is_inside_the_page(shown):
    show.gallery([BLUE], ["blue"])
    data = re.search(r'src="data:image/png;base64,([^"]+)"', shown[0])[1]
    assert Image.open(io.BytesIO(base64.b64decode(data))).getpixel((3, 3)) == (0, 0, 255)


def test_compare_names_yours_and_expected(shown):
    show.compare(RED, BLUE, alt="a cat")
    assert alts_in(shown[0]) == ["yours: a cat", "expected: a cat"]


def test_grid_labels_every_cell(shown):
    show.grid([[RED, BLUE], [BLUE, RED]], ["1 step", "2 steps"], ["guidance 1", "guidance 4"], alt="a cat")
    assert alts_in(shown[0])[3] == "a cat; 2 steps, guidance 4"
    assert shown[0].count('scope="row"') == 2 and shown[0].count('scope="col"') == 2


def test_scrubber_has_every_frame_in_the_page_and_no_widget_state(shown):
    show.scrubber([RED, BLUE], ["t = 0", "t = 1"], alt="a cat")
    show.scrubber([RED, BLUE], ["t = 0", "t = 1"], alt="a cat")
    assert len(pictures_in(shown[0])) == 2 and alts_in(shown[0])[1] == "a cat; t = 1"
    assert '"range"' in shown[0] and "max: 1" in shown[0] and "aria-label" in shown[0]
    names = [re.search(r'id="(scrubber-\w+)"', html)[1] for html in shown]
    assert names[0] != names[1], "two sliders on one page must not move each other"


def test_plot_closes_the_figure(shown):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.plot([1, 2])
    show.plot(figure, alt="a line that goes up")
    assert alts_in(shown[0]) == ["a line that goes up"] and not plt.get_fignums()


@pytest.mark.parametrize(
    "wrong, says",
    [
        (lambda: show.gallery([RED, BLUE], ["one"]), "captions for each of the 2 pictures, but got 1"),
        (lambda: show.gallery([RED], "one"), "but got one string"),
        (lambda: show.gallery([RED], [" "]), "needs alt text"),
        (lambda: show.grid([[RED]], ["a"], ["b", "c"], alt="x"), "column_labels"),
        (lambda: show.scrubber([], [], alt="x"), "at least one picture"),
    ],
)
def test_mistakes_are_said_in_a_sentence(shown, wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()


def test_to_pil_clips_and_rounds():
    torch = pytest.importorskip("torch")
    pixels = torch.tensor([-5.0, 0.0, 1.0]).reshape(3, 1, 1)
    assert show.to_pil(pixels).getpixel((0, 0)) == (0, 128, 255)
    with pytest.raises(ValueError, match=r"got \(1, 3, 4, 4\)"):
        show.to_pil(torch.zeros(1, 3, 4, 4))
