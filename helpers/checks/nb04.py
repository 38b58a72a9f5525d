"""Visible checks of notebook 04, Chat with BLIP-2: one function an exercise, named like it.

A small model's words may be wrong, and a right function passes them on all the same. So the checks listen to what the
language model is given (`listen`), and compare what a function says with what the model says when asked directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from helpers.checks import CheckFailed, Mistake, call, compare_tensors, count_loads, described, expect, passed

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import Blip2ForConditionalGeneration

__all__ = ["Conversation", "answer", "caption", "chat_prompt", "complete", "readable", "soft_prompts"]

QUESTION = "What colour is the cat?"


def readable(fn: Callable) -> None:
    """Check `readable(tokens)` on tokens with a Ġ at the start, inside, alone, and with none."""
    tokens = ["a", "Ġlarge", "Ġred", "Ġcat", ",", "snow_man", "Ġ", "ĠĠĠx", "pĠq", "Ċ"]
    given = list(tokens)
    result = fn(given)
    expect(
        type(result) is list and all(type(token) is str for token in result),
        f"readable should return a list of strings, but it returned {described(result)}.",
    )
    expect(given == tokens, "readable changed the list that it was given; make a new one.")
    expect(
        len(result) == len(tokens),
        f"There were {len(tokens)} tokens, and readable returned {len(result)}: one string for each token.",
    )
    wanted = ["a", "_large", "_red", "_cat", ",", "snow_man", "_", "___x", "p_q", "Ċ"]
    for token, yours, right in zip(tokens, result, wanted, strict=True):
        expect(yours == right, f"The token {token!r} should become {right!r}, but it became {yours!r}.")
    passed("readable")


def soft_prompts(fn: Callable) -> None:
    """Check `soft_prompts(model, pixel_values)` on a tiny BLIP-2 whose three widths differ."""
    import torch

    torch.manual_seed(4)
    model = tiny_blip2()
    pixels = torch.randn(1, 3, 16, 16)
    right = own_soft_prompts(model, pixels)
    with torch.no_grad():
        seen = model.vision_model(pixels)
        queries = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen[0]).last_hidden_state
        summary = seen.pooler_output[:, None]
        of_summary = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=summary).last_hidden_state

        result = taken_apart(fn, model, pixels)
        expect(
            getattr(result, "shape", None) != (1, *right.shape),
            "There is a batch dimension left. There was one picture, so take the first of the batch: [0].",
        )
        expect(
            getattr(result, "shape", None) not in {queries.shape, queries.shape[1:]},
            "That is what the Q-Former's queries found, in the Q-Former's width. The language model's vectors have "
            "another width: send them through model.language_projection.",
        )
        mistakes = (
            Mistake(
                "The queries have not seen the picture: project what the Q-Former returns, not model.query_tokens.",
                lambda: model.language_projection(model.query_tokens)[0],
            ),
            Mistake(
                "The Q-Former should see all vectors of the picture, last_hidden_state; pooler_output is only one.",
                lambda: model.language_projection(of_summary)[0],
            ),
        )
        compare_tensors(result, right, "The tensor of soft prompts", mistakes)
    passed("soft_prompts")


def caption(fn: Callable) -> None:
    """Check `caption(image)`: the text that the model writes after the picture alone, greedily and whole."""
    image = picture()
    expect_reply(trial(fn, image, tokens=30), image, None, tokens=30)
    passed("caption")


def complete(fn: Callable) -> None:
    """Check `complete(image, prompt)` with a question and with the start of a sentence."""
    image = picture()
    for prompt in (f"Question: {QUESTION} Answer:", "a picture of"):
        expect_reply(trial(fn, image, prompt, tokens=8), image, prompt, tokens=8)
    passed("complete")


def answer(fn: Callable) -> None:
    """Check `answer(image, question)`: the prompt that the model gets, and that only what is new comes back."""
    image = picture()
    expect_reply(trial(fn, image, QUESTION, tokens=4), image, f"Question: {QUESTION} Answer:", tokens=4)
    passed("answer")


def chat_prompt(fn: Callable) -> None:
    """Check `chat_prompt(memory, question)` with no memory, with one turn and with two."""
    cat, colour = ("What is in the picture?", "cat"), ("What colour is it?", "red")
    for memory, question, right in (
        ([], "What is it?", "Question: What is it? Answer:"),
        ([cat], "Is it large?", "Question: What is in the picture? Answer: cat. Question: Is it large? Answer:"),
        (
            [cat, colour],
            "Is it large?",
            "Question: What is in the picture? Answer: cat. Question: What colour is it? Answer: red. "
            "Question: Is it large? Answer:",
        ),
        (
            [("What is it?", " a cat. ")],
            " Is it large?",
            "Question: What is it? Answer: a cat. Question: Is it large? Answer:",
        ),
    ):
        given = list(memory)
        result = fn(given, question)
        expect(given == memory, "chat_prompt changed the memory that it was given; leave it as it is.")
        expect(type(result) is str, f"chat_prompt should return a string, but it returned {described(result)}.")
        if result != right:
            raise CheckFailed(f"{_prompt_mistake(result, right)}\n  expected: {right!r}\n  yours:    {result!r}")
    passed("chat_prompt")


def _prompt_mistake(result: str, right: str) -> str:
    if result.rstrip() == right:
        return "The prompt should end right after 'Answer:'; the space belongs to the answer's first token."
    if result.replace(". Question", " Question") == right.replace(". Question", " Question"):
        return "An earlier answer should be followed by one full stop, before the next question."
    if ".." in result:
        return "There are two full stops: an answer that brings its own should not get a second one."
    if " ".join(result.split()) == right:
        return "The parts should be separated by single spaces, also where an answer has spaces around it."
    if result.endswith(right[right.rindex("Question:") :]) and result.count("Question:") < right.count("Question:"):
        return "Not all of the memory is in the prompt."
    if sorted(result.split()) == sorted(right.split()):
        return "The order is wrong: the oldest turn comes first, the new question last."
    return "The prompt is not what it should be."


def Conversation(cls: type) -> None:
    """Check `Conversation(image)`: asks with its memory, keeps it to itself, and forgets it at reset."""
    image, other = picture(), picture("boat")
    first, second = "What is in the picture?", "What colour is it?"
    chat, neighbour = cls(image), cls(other)
    expect(_turns(chat) == [], f"A new conversation's memory should be empty, but it is {chat.memory!r}.")

    said = ask(chat, image, first, f"Question: {first} Answer:")
    expect(
        _turns(chat) == [(first, said)],
        f"After one question the memory should be [(question, answer)], {[(first, said)]!r}, but it is {chat.memory!r}.",
    )
    expect(
        _turns(neighbour) == [],
        "Another conversation remembers this one's question: the two share a list. Make a new list in __init__, with "
        "self.memory = [], not in the class and not as a default argument.",
    )
    told = f"Question: {first} Answer: {said.strip().rstrip('.')}. Question: {second} Answer:"
    then = ask(chat, image, second, told)
    expect(_turns(chat) == [(first, said), (second, then)], "The memory should hold both turns, the oldest first.")
    ask(neighbour, other, second, f"Question: {second} Answer:")

    chat.reset()
    expect(_turns(chat) == [], "After reset() the memory should be empty.")
    ask(chat, image, second, f"Question: {second} Answer:")
    passed("Conversation")


def ask(chat: Any, image: Image.Image, question: str, prompt: str, *, tokens: int = 3) -> str:
    """Ask a conversation, expect that the model was given this picture and prompt, and return what was said."""
    tried = trial(chat.ask, question, tokens=tokens)
    expect_reply(tried, image, prompt, tokens=tokens)
    return tried.result


def _turns(chat: Any) -> list[tuple]:
    """The conversation's memory; turns may be lists or tuples."""
    memory = getattr(chat, "memory", None)
    expect(isinstance(memory, list), f"memory should be a list, but it is {described(memory)}.")
    return [tuple(turn) for turn in memory]


# -- asking a function, and the model itself


class Heard(NamedTuple):
    """What the language model was given at the start of a text."""

    soft_prompts: torch.Tensor  # (n, width): the vectors that are no token's
    text: str
    in_front: bool  # the soft prompts came before all text


class Trial(NamedTuple):
    """One call of a student's function: its result, and what happened on the way."""

    result: Any
    heard: list[Heard]
    by_lot: bool
    loads: list


def trial(fn: Callable, *inputs, tokens: int) -> Trial:
    """Call a function while BLIP-2 is made to end its text with the token number `tokens`, and listen."""
    import torch
    from transformers import PreTrainedModel

    lots = torch.get_rng_state()
    with ends_after(tokens), listen() as heard, count_loads(PreTrainedModel) as loads:
        result = call(fn, *inputs)
    return Trial(result, heard, not torch.equal(lots, torch.get_rng_state()), loads)


def expect_reply(tried: Trial, image: Image.Image, prompt: str | None, *, tokens: int) -> None:
    """Raise `CheckFailed` unless the model was given this picture and prompt, and all it said came back."""
    model, processor = _blip2()
    expect(type(tried.result) is str, f"The result should be a string, but it is {described(tried.result)}.")
    expect(not tried.loads, 'The model is loaded again at each call, which takes seconds: use model, or load("blip2").')
    expect(bool(tried.heard), "BLIP-2's language model was not asked at all.")
    heard = tried.heard[0]
    wanted = own_soft_prompts(model, _pixels(image))
    expect(
        heard.soft_prompts.shape == wanted.shape and heard.in_front,
        "The language model was asked without the picture: give the processor images=… and text=… in one call, and "
        "all that it returns to model.generate(**inputs, …).",
    )
    compare_tensors(heard.soft_prompts, wanted, "The picture, as the language model got it,", tolerance=1e-2)
    if prompt is None:
        expect(heard.text == "", f"A caption needs no text, but the language model was given {heard.text!r}.")
    else:
        expect(heard.text == prompt, f"The language model should be given {prompt!r}, but it was given {heard.text!r}.")
    expect(
        not tried.by_lot,
        "The words were picked at random, so each call may say something else: generate with do_sample=False.",
    )
    _same_words(tried.result, reply(image, prompt, tokens=tokens), prompt, processor.tokenizer.all_special_tokens)


def _same_words(result: str, right: str, prompt: str | None, special: list[str]) -> None:
    if _words(result) == _words(right) and result == result.strip():
        return
    expect(
        not any(token in result for token in special),
        f"There are special tokens in the text, {result[:60]!r}…: decode with skip_special_tokens=True.",
    )
    expect(
        not prompt or not result.startswith(prompt) or right.startswith(prompt),
        f"The text begins with the prompt: {result[:60]!r}. The model's output repeats what it was given; take only "
        'what is new, generated[:, inputs["input_ids"].shape[1]:].',
    )
    expect(result.strip() != right, f"There are spaces or line ends around the text: {result!r}. Use .strip().")
    expect(
        not result or not right.startswith(result),
        f"The text is cut off: the model goes on after {result[-20:]!r}. Allow more with max_new_tokens.",
    )
    raise CheckFailed(f"Asked directly the model says {right!r}, but your function returned {result!r}.")


def _words(text: str) -> list[str]:
    """What must be the same in two texts: their words. How spaces or a last full stop are kept is a matter of taste."""
    return text.rstrip(".").split()


def reply(image: Image.Image, prompt: str | None, *, tokens: int) -> str:
    """What BLIP-2 says after a picture and a prompt (None for none), when its text has so many tokens."""
    model, processor = _blip2()
    words = {} if prompt is None else {"text": prompt}
    inputs = processor(images=image, return_tensors="pt", **words).to(model.device, model.dtype)
    with ends_after(tokens):
        said = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    start = 0 if prompt is None else inputs["input_ids"].shape[1]
    return processor.decode(said[0, start:], skip_special_tokens=True).strip()


@contextmanager
def ends_after(tokens: int) -> Iterator[None]:
    """Make BLIP-2 end each text with its token number `tokens`, neither earlier nor later."""
    model = _blip2().model.language_model
    end, count = model.generation_config.eos_token_id, 0

    def set_end(layer, inputs, logits):
        nonlocal count
        count = count % tokens + 1
        logits = logits.clone()
        logits[..., end] = 1e4 if count == tokens else -1e4
        return logits

    hook = model.get_output_embeddings().register_forward_hook(set_end)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def listen() -> Iterator[list[Heard]]:
    """Give a list that gets a `Heard` whenever BLIP-2's language model starts on vectors (not on a token alone)."""
    model, processor = _blip2()
    table = model.get_input_embeddings().weight
    heard: list[Heard] = []

    def hear(decoder, inputs, named):
        import torch

        vectors = named.get("inputs_embeds")
        if vectors is None or vectors.shape[1] < 2:
            return
        vectors = vectors[0].detach().clone()
        nearest = torch.cdist(vectors.float(), table.detach().float()).argmin(-1)
        is_token = (table[nearest] == vectors).all(-1)
        soft = vectors[~is_token]
        text = processor.tokenizer.decode(nearest[is_token].tolist(), skip_special_tokens=True)
        heard.append(Heard(soft, text, not is_token[: len(soft)].any()))

    hook = model.language_model.get_decoder().register_forward_pre_hook(hear, with_kwargs=True)
    try:
        yield heard
    finally:
        hook.remove()


def taken_apart(fn: Callable, model: Blip2ForConditionalGeneration, pixel_values: torch.Tensor):
    """Call `soft_prompts` where the model can't be asked as a whole, only its parts."""
    message = (
        "soft_prompts lets the model do all of it. Write the three steps yourself, with model.vision_model, "
        "model.qformer and model.language_projection."
    )
    whole = dict.fromkeys(("forward", "generate", "get_image_features"), _refusal(message))
    with patch.multiple(type(model), **whole):
        return call(fn, model, pixel_values)


def _refusal(message: str) -> Callable:
    def refuse(*args, **kwargs):
        raise CheckFailed(message)

    return refuse


def own_soft_prompts(model: Blip2ForConditionalGeneration, pixel_values: torch.Tensor) -> torch.Tensor:
    """The soft prompts (queries, language model's width) that the model itself makes of one picture."""
    made = []
    hook = model.language_projection.register_forward_hook(lambda layer, inputs, output: made.append(output))
    try:
        model.generate(pixel_values=pixel_values, max_new_tokens=1, do_sample=False)
    finally:
        hook.remove()
    return made[0][0]


def tiny_blip2(**sizes) -> Blip2ForConditionalGeneration:
    """A BLIP-2 with random weights for 16×16 pictures: 5 queries, 24 wide, for a language model that is 32 wide.

    Its tokens are the 256 bytes, `<pad>`, `</s>` and `<image>`. `sizes` change the language model's config.
    """
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        OPTConfig,
    )

    small = {"num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.3}
    vision = Blip2VisionConfig(hidden_size=16, intermediate_size=16, image_size=16, patch_size=8, **small)
    qformer = Blip2QFormerConfig(
        vocab_size=1, hidden_size=24, intermediate_size=24, encoder_hidden_size=16, max_position_embeddings=5, **small
    )
    words = {"vocab_size": 259, "pad_token_id": 256, "bos_token_id": 257, "eos_token_id": 257}
    width = {"hidden_size": 32, "word_embed_proj_dim": 32, "ffn_dim": 32, "num_hidden_layers": 2, "init_std": 0.3}
    text = OPTConfig(**{**words, **width, "num_attention_heads": 2, "max_position_embeddings": 256, **sizes})
    config = Blip2Config(
        vision_config=vision, qformer_config=qformer, text_config=text, num_query_tokens=5, image_token_index=258
    )
    model = Blip2ForConditionalGeneration(config).eval()
    model.query_tokens.data.normal_()  # they start as zeros, all alike
    return model


def picture(kind: str = "cat") -> Image.Image:
    """A drawing to try functions on: a large red cat on a meadow, or something else in its place."""
    from helpers.picturebook import Scene, Thing, draw

    return draw(Scene((Thing(kind, "red"),), place="meadow", layout=4), size=128)


def _pixels(image: Image.Image) -> torch.Tensor:
    model, processor = _blip2()
    inputs = processor(images=image, return_tensors="pt")
    return inputs["pixel_values"].to(model.device, model.dtype)


def _blip2():
    from helpers.models import load

    return load("blip2")
