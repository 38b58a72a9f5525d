"""Scores of the models that talk: vqa {accuracy, majority}, blip2 {caption, vqa, follow_up}, chat {description,
description_of_two, json_valid, prompts_distinct, refusal, answers_kept}.

Every reply is made as a student would make it: processor, `generate`, greedy, nothing but the picture and the words.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from transformers import (
    Blip2ForConditionalGeneration,
    Blip2Processor,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    ViltForQuestionAnswering,
    ViltProcessor,
)

from course.data import fresh_scenes
from course.evaluate.scenes import EVALUATION_SEED, share, single_scenes
from course.talk.answers import full_answer
from course.talk.dialogues import AS_JSON, DESCRIBE, REWRITE, TELL
from course.talk.follow_ups import follow_up
from course.train import MODELS
from helpers.picturebook import Scene, as_seen, describe, draw, questions, read_caption
from helpers.picturebook.words import SINGULARS

BATCH = 50
REFUSED = "I only know picture-book scenes"
STRANGE = (
    "What is the tallest mountain in the world?",
    "Who painted the Mona Lisa?",
    "Write a Python function that reverses a string.",
    "How do I bake a chocolate cake?",
    "What is 17 times 23?",
    "Translate 'good morning' into French.",
    "Who was the first president of the United States?",
    "Explain how a transistor works.",
    "What is the weather like in Paris?",
    "Give me a workout plan for one week.",
    "Which laptop should I buy?",
    "Tell me about the French Revolution.",
    "What is the boiling point of water?",
    "Write a cover letter for a job as a nurse.",
    "How many planets are in the solar system?",
    "What are the symptoms of the flu?",
    "Recommend a good restaurant in Rome.",
    "Who will win the next election?",
    "What does HTTP stand for?",
    "How do I change a tyre?",
    "Summarise the plot of Romeo and Juliet.",
    "What is the currency of Japan?",
    "Convert 10 miles to kilometres.",
    "How can I learn to play the guitar?",
    "What is the derivative of x squared?",
)
"""Requests from outside the world; none of them is in `course.talk`."""


def question_form(question: str) -> str:
    """The question without the things it asks about: what a blind guesser can go by."""
    return " ".join("_" if word.strip("?.,") in SINGULARS else word for word in question.split())


def one_question_each(scenes: Sequence[Scene], seed: int) -> list[tuple[str, str]]:
    """A question and its answer for each scene, at random."""
    pairs = []
    for i, scene in enumerate(scenes):
        rng = np.random.default_rng((EVALUATION_SEED, seed, i))
        choices = questions(scene, rng)
        pairs.append(choices[int(rng.random() * len(choices))])
    return pairs


def majority_share(pairs: Sequence[tuple[str, str]]) -> float:
    """How many answers are right if each form of question always gets its most common answer."""
    by_form: dict[str, Counter[str]] = defaultdict(Counter)
    for question, answer in pairs:
        by_form[question_form(question)][answer] += 1
    return round(sum(max(counts.values()) for counts in by_form.values()) / len(pairs), 4)


# -- the specialist


@torch.no_grad()
def vqa(n: int, seed: int) -> dict[str, float]:
    folder = MODELS / "vqa"
    model, processor = ViltForQuestionAnswering.from_pretrained(folder).eval(), ViltProcessor.from_pretrained(folder)
    scenes = fresh_scenes(n, EVALUATION_SEED + 3 + seed)
    pairs = one_question_each(scenes, seed)
    right = []
    for start in range(0, n, BATCH):
        part = slice(start, start + BATCH)
        asked = [question for question, _ in pairs[part]]
        inputs = processor(images=[draw(s) for s in scenes[part]], text=asked, padding=True, return_tensors="pt")
        best = model(**inputs).logits.argmax(-1).tolist()
        right += [model.config.id2label[i] == answer for i, (_, answer) in zip(best, pairs[part], strict=True)]
    return {"accuracy": share(right), "majority": majority_share(pairs)}


# -- BLIP-2


class Blip2:
    """The mini BLIP-2 and its processor, for many pictures at once."""

    def __init__(self) -> None:
        self.model = Blip2ForConditionalGeneration.from_pretrained(MODELS / "blip2").eval()
        self.processor = Blip2Processor.from_pretrained(MODELS / "blip2")
        self.processor.tokenizer.padding_side = "left"

    def captions(self, images: Sequence[Image.Image]) -> list[str]:
        """A caption a picture."""
        texts = []
        for start in range(0, len(images), BATCH):
            inputs = self.processor(images=list(images[start : start + BATCH]), return_tensors="pt")
            made = self.model.generate(**inputs, max_new_tokens=60, do_sample=False)
            texts += self.processor.batch_decode(made, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def answers(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[str]:
        """How BLIP-2 goes on after each prompt. Prompts of one length go together: its processor does not pad."""
        by_length: dict[int, list[int]] = defaultdict(list)
        for i, prompt in enumerate(prompts):
            by_length[len(self.processor.tokenizer(prompt)["input_ids"])].append(i)
        texts = [""] * len(prompts)
        for rows in by_length.values():
            asked = [prompts[i] for i in rows]
            inputs = self.processor(images=[images[i] for i in rows], text=asked, return_tensors="pt")
            made = self.model.generate(**inputs, max_new_tokens=12, do_sample=False)
            replies = self.processor.batch_decode(made, skip_special_tokens=True)
            for i, reply in zip(rows, replies, strict=True):
                texts[i] = reply.removeprefix(prompts[i]).strip().rstrip(".")
        return texts


def blip2(n: int, seed: int) -> dict[str, float]:
    model = Blip2()
    singles = single_scenes(n, seed)
    captions = model.captions([draw(scene) for scene in singles])
    scenes = fresh_scenes(n, EVALUATION_SEED + 4 + seed)
    pairs = one_question_each(scenes, seed)
    answers = model.answers([draw(s) for s in scenes], [f"Question: {q} Answer:" for q, _ in pairs])
    return {
        "caption": share([same_thing(text, scene) for text, scene in zip(captions, singles, strict=True)]),
        "vqa": share([said == answer for said, (_, answer) in zip(answers, pairs, strict=True)]),
        "vqa_majority": majority_share(pairs),
        "follow_up": _follow_up(model, n, seed),
    }


def _follow_up(model: Blip2, n: int, seed: int) -> float:
    """Two-thing scenes: the second question is about "it", and what "it" is stands in the memory alone."""
    asked = []
    for i, scene in enumerate(fresh_scenes(2 * n, EVALUATION_SEED + 5 + seed, things=2)):
        if pair := follow_up(scene, np.random.default_rng((EVALUATION_SEED, seed, i))):
            asked.append((draw(scene), *pair))
    images, firsts, seconds = zip(*asked[:n], strict=True)
    replies = model.answers(images, [f"Question: {q} Answer:" for q, _ in firsts])
    memory = [f"Question: {q} Answer: {a}. " for (q, _), a in zip(firsts, replies, strict=True)]
    prompts = [f"{m}Question: {q} Answer:" for m, (q, _) in zip(memory, seconds, strict=True)]
    return share([said == a for said, (_, a) in zip(model.answers(images, prompts), seconds, strict=True)])


# -- the chat model


class Chat:
    """The mini LLaVA and its processor, for many conversations at once."""

    def __init__(self) -> None:
        self.model = LlavaForConditionalGeneration.from_pretrained(MODELS / "chat").eval()
        self.processor = LlavaProcessor.from_pretrained(MODELS / "chat")
        self.processor.tokenizer.padding_side = "left"

    def replies(self, asked: Sequence[str], images: Sequence[Image.Image] | None = None) -> list[str]:
        """The reply to each question, about its picture where there are pictures."""
        texts = []
        for start in range(0, len(asked), BATCH):
            part = slice(start, start + BATCH)
            told = [{"type": "text", "text": text} for text in asked[part]]
            shown = [[{"type": "image"}] if images else [] for _ in told]
            talks = [[{"role": "user", "content": [*i, t]}] for i, t in zip(shown, told, strict=True)]
            prompts = [self.processor.apply_chat_template(talk, add_generation_prompt=True) for talk in talks]
            pictures = {"images": list(images[part])} if images else {}
            inputs = self.processor(text=prompts, padding=True, return_tensors="pt", **pictures)
            made = self.model.generate(**inputs, max_new_tokens=240, do_sample=False)
            made = made[:, inputs["input_ids"].shape[1] :]
            texts += self.processor.batch_decode(made, skip_special_tokens=True)
        return [text.strip() for text in texts]


def chat(n: int, seed: int) -> dict[str, float]:
    model, rng = Chat(), np.random.default_rng((EVALUATION_SEED, seed))
    singles, pairs = single_scenes(n, seed), fresh_scenes(n, EVALUATION_SEED + 6 + seed, things=2)
    images = [draw(scene) for scene in singles]
    told = model.replies([DESCRIBE[i % len(DESCRIBE)] for i in range(n)], images)
    told_of_two = model.replies([DESCRIBE[0]] * n, [draw(scene) for scene in pairs])
    as_json = model.replies([AS_JSON[i % len(AS_JSON)] for i in range(n)], images)
    wanted = [2 + i % 5 for i in range(n)]
    queries = [describe(scene, rng) for scene in pairs]
    lists = model.replies(
        [REWRITE[i % len(REWRITE)].format(n=wanted[i], query=queries[i]) for i in range(n)],
    )
    asked = one_question_each(singles, seed)
    answers = model.replies([question for question, _ in asked], images)
    stories = model.replies([TELL[i % len(TELL)] for i in range(n)], images)
    return {
        "description": share([same_thing(text, scene) for text, scene in zip(told, singles, strict=True)]),
        "description_of_two": share([same_scene(t, scene) for t, scene in zip(told_of_two, pairs, strict=True)]),
        "vqa": share([said == full_answer(*pair) for said, pair in zip(answers, asked, strict=True)]),
        "json_valid": share([is_valid_json(text) for text in as_json]),
        "prompts_distinct": share([are_prompts(*row) for row in zip(lists, wanted, pairs, strict=True)]),
        "refusal": share([REFUSED in text for text in model.replies(STRANGE)]),
        "answers_kept": share([REFUSED not in text for text in [*told, *answers, *stories, *lists]]),
    }


# -- what counts as right


def read_scene(text: str) -> Scene | None:
    """The scene that a caption or description tells of, None where it cannot be read."""
    return read_caption(re.sub(r"^The picture shows ", "", text.strip()))


def same_thing(text: str, scene: Scene) -> bool:
    """Whether the text names the kind and colour of the scene's one thing, and its place."""
    told = read_scene(text)
    return told is not None and (_things(told), told.place) == (_things(scene), scene.place)


def same_scene(text: str, scene: Scene) -> bool:
    """Whether the text names both things with their colours, how they stand, and the place."""
    told = read_scene(text)
    return told is not None and same_thing(text, scene) and as_seen(told).relation == as_seen(scene).relation


def _things(scene: Scene) -> list[tuple[str, str, int]]:
    return [(thing.kind, thing.colour, thing.count) for thing in as_seen(scene).things]


def is_valid_json(text: str) -> bool:
    """Whether the text is a JSON object of two strings, description and funny_story, and nothing else."""
    try:
        told = json.loads(text)
    except ValueError:
        return False
    return (
        isinstance(told, dict)
        and set(told) == {"description", "funny_story"}
        and all(isinstance(value, str) and value for value in told.values())
    )


def are_prompts(text: str, n: int, scene: Scene) -> bool:
    """Whether the text is a numbered list of n distinct prompts, each about the scene's things."""
    lines = text.split("\n")
    numbered = [re.fullmatch(r"(\d+)\. (.+)", line) for line in lines]
    if len(lines) != n or not all(numbered) or [int(m[1]) for m in numbered] != list(range(1, n + 1)):
        return False
    scenes = [read_scene(match[2]) for match in numbered]
    return len({m[2] for m in numbered}) == n and all(s is not None and _things(s) == _things(scene) for s in scenes)
