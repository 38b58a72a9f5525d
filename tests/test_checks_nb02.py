"""Notebook 02's checks pass right answers and name the mistake in wrong ones, whatever the weights are."""

import io
import math
import re
import runpy
import urllib.request
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from course.train.tokenizer import train_tokenizer
from helpers import checks, clip, models, picturebook
from helpers.checks import CheckFailed
from helpers.checks.fakes import Reply
from helpers.checks.nb02.fetching import serve
from helpers.pictures import as_rgb

ANSWERS = runpy.run_path(str(Path(__file__).parent / "answers" / "nb02.py"))
SIZE = 32


def picture_book_text(seed):
    """A caption and questions, in lower case."""
    rng = Random(seed)
    scene = picturebook.random_scene(rng)
    questions = [question for question, _ in picturebook.questions(scene, rng)]
    return " ".join([picturebook.describe(scene, rng), *questions, *picturebook.PLACES]).lower()


@pytest.fixture(scope="module")
def tiny():
    """A CLIP and a ViLT of a few random weights, as `load` gives them."""
    from transformers import (
        BertTokenizer,
        CLIPConfig,
        CLIPImageProcessorPil,
        CLIPModel,
        CLIPProcessor,
        ViltConfig,
        ViltForQuestionAnswering,
        ViltProcessor,
    )
    from transformers.models.vilt import ViltImageProcessorPil

    torch.manual_seed(0)
    words = sorted({word for i in range(300) for word in re.findall(r"\w+|[?,]", picture_book_text(i))})
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    pictures = {"image_size": SIZE, "patch_size": 8, "initializer_range": 0.5}
    labels = ["red", "blue", "cat", "boat", "Sea"]
    vilt = ViltForQuestionAnswering(
        ViltConfig(**small, **pictures, vocab_size=len(words) + 5, num_labels=5, id2label=dict(enumerate(labels)))
    )
    with torch.no_grad():
        vilt.classifier[-1].weight.mul_(5)  # logits beyond 0 … 1
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    asks = BertTokenizer(vocab={word: i for i, word in enumerate([*specials, *words])})
    eyes = ViltImageProcessorPil(size={"shortest_edge": SIZE}, size_divisor=8)

    reads = train_tokenizer([" ".join(words)], merges=600)
    special = {"bos_token_id": reads.bos_token_id, "eos_token_id": reads.eos_token_id, "pad_token_id": 0}
    towers = CLIPModel(
        CLIPConfig(
            text_config={**small, **special, "vocab_size": len(reads)},
            vision_config={**small, **pictures},
            projection_dim=8,
        )
    )
    torch.nn.init.normal_(towers.text_model.embeddings.token_embedding.weight)
    seer = CLIPImageProcessorPil(size={"height": SIZE, "width": SIZE}, do_center_crop=False)
    pairs = CLIPProcessor(seer, reads)
    return {
        "vqa": SimpleNamespace(model=vilt.eval(), processor=ViltProcessor(eyes, asks)),
        "clip": SimpleNamespace(model=towers.eval(), processor=pairs),
    }


@pytest.fixture
def function(tiny, monkeypatch):
    """Gives the student's function that a cell's text defines, as after the notebook's set-up."""

    def load(role):
        both = tiny[role]
        return models.Loaded(both.model, both.processor)

    monkeypatch.setattr(models, "load", load)

    def define(exercise, source):
        names = {
            **{name: getattr(picturebook, name) for name in picturebook.__all__},
            **{"torch": torch, "F": torch.nn.functional, "Image": Image, "io": io, "math": math, "Path": Path},
            **{"urllib": urllib, "Random": Random, "clip": clip, "load": load, "size": SIZE, "as_rgb": as_rgb},
        }
        if exercise == "vqa_accuracy":
            exec(ANSWERS["RIGHT"]["ask"][0], names)
        exec(source, names)
        return names[exercise]

    return define


@pytest.mark.parametrize("exercise", ANSWERS["RIGHT"])
def test_right_answers_pass(exercise, function, capsys):
    for source in ANSWERS["RIGHT"][exercise]:
        getattr(checks.nb02, exercise)(function(exercise, source))
        assert "100 % of the points" in capsys.readouterr().out


SAID = {  # a wrong answer of tests/answers → words of the sentence a student reads
    (
        "fetch_image",
        "no care at all: the library's own errors, no limits",
    ): "should raise a ValueError with your own message",
    ("fetch_image", "the mode stays as it is"): "with a palette should have mode RGB",
    (
        "fetch_image",
        "believes the header Content-Length",
    ): "For a file of 30 MB, your function should raise a ValueError",
    ("fetch_image", "counts bytes, but not pixels"): "For a picture of 42 million pixels",
    (
        "fetch_image",
        "gives None when something is wrong",
    ): r"it returned None \(does the function end with `return`\?\)\. Otherwise the caller",
    ("fetch_image", "passes on Pillow's words, with their address in memory"): "a memory address",
    (
        "fetch_image",
        "clear pixels become black, photos stay on their side",
    ): r"puts the\s+picture on black|should be rotated",
    ("patchify", "column by column"): "column by column",
    ("patchify", "colours of a pixel together"): "all red values, then all green ones",
    ("patchify", "a plain reshape"): "A plain reshape",
    ("patchify", "each patch on its side"): "lies on its side",
    ("patchify", "the rest is thrown away without a word"): "It can't be cut into whole patches",
    ("contrastive_loss", "one direction only"): "only the direction from picture to text",
    ("contrastive_loss", "embeddings not normalised"): "not scaled to length 1",
    ("contrastive_loss", "multiplies by the temperature"): "you multiply",
    ("contrastive_loss", "temperature forgotten"): "The temperature has no effect",
    ("contrastive_loss", "the sum of both directions"): "take their mean",
    ("contrastive_loss", "a softmax before the cross-entropy, which has one"): "Leave your softmax out",
    ("contrastive_loss", "exponentials by hand, too large at a low temperature"): "does not fit into a float",
    ("contrastive_loss", "no gradient flows"): "No gradient can flow",
    ("attend", "not scaled"): "not divided by √d",
    ("attend", "divided by d"): "divided by d. Divide them by its square root",
    ("attend", "the scale of the number of keys"): "divided by √m",
    ("attend", "a softmax over the queries"): "each column of weights sums to 1",
    ("attend", "a sigmoid in place of the softmax"): "a sigmoid of each score",
    ("attend", "weights first"): "The two results are swapped",
    ("attend", "scores in place of weights"): "the scores before the softmax",
    ("attend", "only the output"): r"should return a tuple \(output, weights\)",
    ("attend", "the mask the wrong way round"): "True means that attending is allowed",
    ("attend", "the mask after the softmax alone"): "The rows no longer sum to 1",
    ("attend", "scores of 0 where nothing is allowed"): r"exp\(0\) is 1",
    ("attend", "the mask is not used"): "The mask has no effect",
    ("attend", "changes the queries"): "changed one of its inputs",
    ("attend", "NaN where nothing is allowed"): "its weights are NaN",
    ("attend", "equal weights where nothing is allowed"): "set the weights to 0 afterwards",
    ("attend", "-1e9, which float16 does not hold"): "without overflow",
    ("attend", "no broadcasting"): r"attend\(tensor \(2, 1, 3, 4\), tensor \(5, 6, 4\)",
    ("attend", "always float32"): r"in float64 should have dtype torch.float64, but it has torch.float32",
    ("attend", "exponentials by hand"): r"in float16 is not finite",
    ("sigmoid_loss", "divides by the temperature"): "multiplies the similarities, as in the paper",
    ("sigmoid_loss", "without the bias"): "The bias has no effect",
    ("sigmoid_loss", "the bias is multiplied too"): "after multiplying by the temperature",
    ("sigmoid_loss", "the mean over all pairs"): "mean over all N² pairs",
    ("sigmoid_loss", "only the right pairs"): "Only the right pairs",
    ("sigmoid_loss", "labels 1 and 0"): "have the label 0",
    ("sigmoid_loss", "labels the wrong way round"): "The labels are the wrong way round",
    ("sigmoid_loss", "the logarithm forgotten"): "The logarithm is missing",
    ("sigmoid_loss", "a softmax over the batch"): "Here each pair has a sigmoid",
    ("sigmoid_loss", "no gradient flows"): "No gradient can flow",
    ("sigmoid_loss", "embeddings not normalised"): "not scaled to length 1",
    ("sigmoid_loss", "the logarithm of a sigmoid that may be 0"): "Use F.logsigmoid",
    ("zero_shot", "softmax over the wrong axis"): "Is the softmax over the labels",
    ("zero_shot", "temperature forgotten"): r"multiply by model.logit_scale.exp\(\)",
    ("zero_shot", "the logarithm of the temperature"): "logit_scale is the logarithm",
    ("zero_shot", "tensors, not floats"): "there is Tensor",
    ("ask", "a tensor as the key"): r"id2label\[best.item\(\)\]",
    ("ask", "the score is the logit"): "Is it the logit itself",
    ("ask", "the number of the answer"): "Look the number up in model.config.id2label",
    ("ask", "always sure"): r"should be .* \(its sigmoid\) or .* \(a softmax\)",
    ("vqa_accuracy", "capitals count as mistakes"): "With other capitals and spaces, as in",
    ("vqa_accuracy", "part of the word is enough"): "is correct, the accuracy should be 0",
    ("vqa_accuracy", "per cent"): "not a count or a percentage",
    ("vqa_accuracy", "no examples, and still a number"): "Without examples the accuracy is undefined",
    ("train_head", "no training"): "Does the loss fall",
    ("train_head", "a hidden layer"): "The head is not linear",
    ("train_head", "the features are trained too"): "changed one of its inputs",
    ("train_head", "the head's answer in place of the head"): "should return a torch module",
    ("train_head", "more steps than asked for"): "steps=2 allows two steps",
}


@pytest.mark.parametrize("exercise, fault", SAID)
def test_the_sentence_names_the_mistake(exercise, fault, function):
    (source,) = (source for name, source in ANSWERS["WRONG"][exercise] if name == fault)
    with pytest.raises(CheckFailed, match=SAID[exercise, fault]):
        getattr(checks.nb02, exercise)(function(exercise, source))


def test_the_web_server_answers_404_waits_and_is_gone_afterwards():
    with serve({"/here.png": Reply(b"hello")}) as address:
        with urllib.request.urlopen(f"{address}/here.png?and=more") as response:
            assert response.read() == b"hello" and response.headers["Content-Length"] == "5"
            assert response.headers["Content-Type"] == "image/png"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/there")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}/here.png")
