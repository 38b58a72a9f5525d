"""Every picture is shown with alt text, escaped; wrong numbers of captions are said in a sentence."""

import base64
import io
import re

import pytest
from PIL import Image

from helpers import show
from helpers.show import plots

pytestmark = pytest.mark.quick

RED, BLUE = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))


@pytest.fixture
def shown(monkeypatch):
    """The HTML that was shown, in order."""
    pages = []
    monkeypatch.setattr("IPython.display.display", lambda html: pages.append(html.data))
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


def test_marked_tokens_are_blue_and_a_line_says_why(shown):
    show.tokens(["<s>", " cat", "<image>"], range(3), marked=[False, False, True], meaning="<i>image tokens")
    assert shown[0].count("#3c82f0") == 1 and shown[0].count('title="&lt;i&gt;image tokens"') == 1
    assert "1 of 3 tokens are blue: &lt;i&gt;image tokens." in shown[0]


def test_tokens_stand_in_boxes_with_their_numbers(shown):
    show.tokens(["a", "Ġ<b>"], [7, 300])
    show.tokens(["a"])
    assert shown[0].count('role="listitem"') == 2 and "Ġ&lt;b&gt;" in shown[0] and ">300<" in shown[0]
    assert ">a</code></div>" in shown[1]


@pytest.mark.parametrize(
    "wrong, says",
    [
        (lambda: show.tokens(["a", "b"], [1]), "ids for each of the 2 tokens, but got 1"),
        (lambda: show.tokens(["a", "b"], marked=[True]), "marked for each of the 2 tokens, but got 1"),
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


def test_mosaic_joins_row_by_row_and_leaves_gaps():
    whole = show.mosaic([RED, BLUE, BLUE, RED], 2)
    assert whole.size == (16, 16)
    assert [whole.getpixel(at) for at in ((0, 0), (8, 0), (0, 8))] == [(255, 0, 0), (0, 0, 255), (0, 0, 255)]
    apart = show.mosaic([RED, BLUE], 2, gap=3)
    assert apart.size == (19, 8)
    assert [apart.getpixel((x, 4)) for x in (7, 8, 10, 11)] == [(255, 0, 0), (255,) * 3, (255,) * 3, (0, 0, 255)]


def test_spotlight_is_bright_where_the_weight_is_largest():
    torch = pytest.importorskip("torch")
    lit = show.spotlight(Image.new("RGB", (8, 8), "white"), torch.tensor([[0.0, 0.2], [0.1, 0.4]]))
    light = [lit.getpixel(at)[0] for at in ((1, 1), (1, 6), (6, 1), (6, 6))]
    assert light == sorted(light) and light[0] < 40 and light[-1] == 255
    assert lit.getpixel((3, 3))[0] == light[0], "a patch is lit as a whole"


def test_matrix_has_numbers_in_words_and_the_best_of_each_column_in_bold(shown):
    show.matrix([[0.9, 0.1], [0.2, 0.8]], [RED, BLUE], ["red", "<blue>"], alt=["a red square", "a blue square"])
    assert alts_in(shown[0]) == ["a red square", "a blue square"]
    cells = re.findall(r"font-weight:(\w+)[^>]*>([\d.]+)</td>", shown[0])
    assert cells == [("bold", "0.90"), ("normal", "0.10"), ("normal", "0.20"), ("bold", "0.80")]
    assert "&lt;blue&gt;" in shown[0] and shown[0].count('scope="row"') == 2


def test_bars_say_their_numbers_and_tick_the_right_one(shown):
    show.bars({"cat": 0.75, "a <dog>": 0.2}, "What is this?", right="cat")
    assert "cat ✓" in shown[0] and "75.0%" in shown[0] and "a &lt;dog&gt;</th>" in shown[0]
    assert "width:20.0%" in shown[0] and "What is this?</caption>" in shown[0]


def test_confidences_tell_in_words_what_the_figure_shows(shown):
    import matplotlib

    matplotlib.use("Agg")
    show.confidences({"right": [0.9, 0.99, 0.7], "wrong": [0.2], "outside": []})
    (alt,) = alts_in(shown[0])
    assert "right: 3 answers from 0.70 to 0.99, half of them at 0.90 or more" in alt
    assert "wrong: 1 answers" not in alt and "wrong: 1 answer from 0.20 to 0.20" in alt and "outside: no answers" in alt


@pytest.mark.parametrize(
    "wrong, says",
    [
        (lambda: show.mosaic([RED] * 3, 2), "full rows of 2 pictures of one size, but got 3"),
        (lambda: show.mosaic([RED, RED.resize((4, 4))], 2), "of 2 sizes"),
        (lambda: show.matrix([[1, 2]], [RED], ["a"], alt=["red"]), "1 rows, one for each text, of 1 numbers"),
        (lambda: show.matrix([[1]], [RED], ["a"], alt=[]), "one of alt for each of the 1 pictures"),
    ],
)
def test_mistakes_in_tables_and_mosaics_are_said_in_a_sentence(shown, wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()


def test_projection_keeps_what_is_far_apart_and_says_so(shown):
    np = pytest.importorskip("numpy")
    pytest.importorskip("matplotlib").use("Agg")
    rng = np.random.default_rng(0)
    here, there = rng.normal(size=(40, 6)), rng.normal(size=(30, 6))
    show.projection({"here": here, "there": there + 9 * np.eye(6)[0]})
    (alt,) = alts_in(shown[0])
    assert "here: 40 points, 100% of them nearest to the centre of their own group" in alt
    assert "there: 30 points, 100%" in alt
    assert int(re.search(r"shows (\d+)% of their spread", alt)[1]) > 70


def test_the_plane_of_a_projection_is_that_of_the_principal_components():
    np = pytest.importorskip("numpy")
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(50, 2)) * [3, 1]
    turn, _ = np.linalg.qr(rng.normal(size=(7, 7)))
    points, shares = plots._principal_plane(np.pad(flat, ((0, 0), (0, 5))) @ turn + 4)
    centred = flat - flat.mean(axis=0)
    assert np.allclose(np.linalg.norm(points, axis=1), np.linalg.norm(centred, axis=1)), "no length is lost"
    assert np.isclose(shares.sum(), 1) and shares[0] > shares[1]
    variances = points.var(axis=0)
    assert variances[0] > variances[1] and abs(np.cov(points.T)[0, 1]) < 1e-9


@pytest.mark.parametrize(
    "groups, pairs, says",
    [
        ({"a": [[0.0, 1.0], [1.0, 0.0]]}, None, "at least three vectors, but got 2"),
        ({"a": [[0.0, 1.0]] * 3, "b": [[1.0, 0.0]] * 2}, ("a", "b"), "but got 3 and 2 vectors"),
    ],
)
def test_a_projection_that_cannot_be_drawn_is_refused_in_a_sentence(shown, groups, pairs, says):
    pytest.importorskip("matplotlib").use("Agg")
    with pytest.raises(ValueError, match=says):
        show.projection(groups, pairs=pairs)


def test_a_chain_tells_its_boxes_in_the_alt_text(shown):
    stages = [("vision\nmodel", "65 vectors", "#dddddd"), ("projection", "16 vectors", "#f6c28b")]
    show.chain(stages, "The way")
    assert 'alt="The way, from left to right: vision model gives 65 vectors; projection gives 16 vectors."' in shown[0]
