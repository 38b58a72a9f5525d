"""Scores of the language models.

vqa: accuracy, majority. blip2: caption, caption_of_two, vqa, vqa_majority, follow_up. chat: description,
description_of_two, description_new_wording, vqa, vqa_of_two, count, json_valid, json_old_wording, prompts_distinct,
native_rewrite, tool_calls, refusal, answers_kept.

Every reply is generated as a student would: processor, `generate`, greedy decoding, only the picture and the text.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

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
from course.evaluate.requests import NATIVE_REWRITE, OLD_JSON, STRANGE, UNFAMILIAR
from course.evaluate.scenes import EVALUATION_SEED, accuracy, single_scenes
from course.evaluate.tool_talk import tool_trials
from course.talk.answers import full_answer
from course.talk.asking import counted
from course.talk.dialogues import AS_JSON, DESCRIBE, REWRITE, TELL
from course.talk.follow_ups import follow_up
from course.talk.messages import Dialogue, Message, Tool
from course.talk.template import as_messages
from helpers.picturebook import KINDS, Scene, as_seen, describe, draw, questions, random_scene, read_caption
from helpers.picturebook.words import PLURALS, SINGULARS

BATCH = 50
REFUSED = "I only know picture-book scenes"


def question_form(question: str) -> str:
    """Return the question without the things it asks about: all that a blind guess can use."""
    return " ".join("_" if word.strip("?.,") in SINGULARS else word for word in question.split())


def one_question_each(scenes: Sequence[Scene], seed: int) -> list[tuple[str, str]]:
    """Return a random question and its answer for each scene."""
    pairs = []
    for i, scene in enumerate(scenes):
        rng = np.random.default_rng((EVALUATION_SEED, seed, i))
        choices = questions(scene, rng)
        pairs.append(choices[int(rng.random() * len(choices))])
    return pairs


def majority_accuracy(pairs: Sequence[tuple[str, str]]) -> float:
    """Return the accuracy of always giving the most common answer to each form of question."""
    by_form: dict[str, Counter[str]] = defaultdict(Counter)
    for question, answer in pairs:
        by_form[question_form(question)][answer] += 1
    return round(sum(max(counts.values()) for counts in by_form.values()) / len(pairs), 4)


# -- the specialist


@torch.no_grad()
def vqa(n: int, seed: int, models: Path, device: str | torch.device = "cpu") -> dict[str, float]:
    folder = models / "vqa"
    model = ViltForQuestionAnswering.from_pretrained(folder).eval().to(device)
    processor = ViltProcessor.from_pretrained(folder)
    scenes = fresh_scenes(n, EVALUATION_SEED + 3 + seed)
    pairs = one_question_each(scenes, seed)
    right = []
    for start in range(0, n, BATCH):
        part = slice(start, start + BATCH)
        texts = [question for question, _ in pairs[part]]
        inputs = processor(images=[draw(s) for s in scenes[part]], text=texts, padding=True, return_tensors="pt")
        best = model(**inputs.to(device)).logits.argmax(-1).tolist()
        right += [model.config.id2label[i] == answer for i, (_, answer) in zip(best, pairs[part], strict=True)]
    return {"accuracy": accuracy(right), "majority": majority_accuracy(pairs)}


# -- BLIP-2


class Blip2:
    """The mini BLIP-2 and its processor, for many pictures at once."""

    def __init__(self, models: Path, device: str | torch.device = "cpu") -> None:
        self.model = Blip2ForConditionalGeneration.from_pretrained(models / "blip2").eval().to(device)
        self.processor = Blip2Processor.from_pretrained(models / "blip2")
        self.processor.tokenizer.padding_side = "left"

    def captions(self, images: Sequence[Image.Image]) -> list[str]:
        """Return one caption per picture."""
        texts = []
        for start in range(0, len(images), BATCH):
            inputs = self.processor(images=list(images[start : start + BATCH]), return_tensors="pt").to(
                self.model.device
            )
            made = self.model.generate(**inputs, max_new_tokens=60, do_sample=False)
            texts += self.processor.batch_decode(made, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def answers(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> list[str]:
        """Return BLIP-2's continuation of each prompt. Prompts are batched by length: its processor does not pad."""
        by_length: dict[int, list[int]] = defaultdict(list)
        for i, prompt in enumerate(prompts):
            by_length[len(self.processor.tokenizer(prompt)["input_ids"])].append(i)
        texts = [""] * len(prompts)
        for rows in by_length.values():
            batch = [prompts[i] for i in rows]
            inputs = self.processor(images=[images[i] for i in rows], text=batch, return_tensors="pt")
            made = self.model.generate(**inputs.to(self.model.device), max_new_tokens=12, do_sample=False)
            replies = self.processor.batch_decode(made, skip_special_tokens=True)
            for i, reply in zip(rows, replies, strict=True):
                texts[i] = reply.removeprefix(prompts[i]).strip().rstrip(".")
        return texts


def blip2(n: int, seed: int, models: Path, device: str | torch.device = "cpu") -> dict[str, float]:
    model = Blip2(models, device)
    singles, twos = single_scenes(n, seed), fresh_scenes(n, EVALUATION_SEED + 6 + seed, things=2)
    captions = model.captions([draw(scene) for scene in singles])
    captions_of_two = model.captions([draw(scene) for scene in twos])
    scenes = fresh_scenes(n, EVALUATION_SEED + 4 + seed)
    pairs = one_question_each(scenes, seed)
    answers = model.answers([draw(s) for s in scenes], [f"Question: {q} Answer:" for q, _ in pairs])
    return {
        "caption": accuracy([same_thing(text, scene) for text, scene in zip(captions, singles, strict=True)]),
        "caption_of_two": accuracy([same_scene(t, scene) for t, scene in zip(captions_of_two, twos, strict=True)]),
        "vqa": accuracy([reply == answer for reply, (_, answer) in zip(answers, pairs, strict=True)]),
        "vqa_majority": majority_accuracy(pairs),
        "follow_up": _follow_up(model, n, seed),
    }


def _follow_up(model: Blip2, n: int, seed: int) -> float:
    """Score second questions about "it" in two-thing scenes, where only the memory says what "it" is."""
    examples = []
    for i, scene in enumerate(fresh_scenes(2 * n, EVALUATION_SEED + 5 + seed, things=2)):
        if pair := follow_up(scene, np.random.default_rng((EVALUATION_SEED, seed, i))):
            examples.append((draw(scene), *pair))
    images, firsts, seconds = zip(*examples[:n], strict=True)
    replies = model.answers(images, [f"Question: {q} Answer:" for q, _ in firsts])
    memory = [f"Question: {q} Answer: {a}. " for (q, _), a in zip(firsts, replies, strict=True)]
    prompts = [f"{m}Question: {q} Answer:" for m, (q, _) in zip(memory, seconds, strict=True)]
    return accuracy([reply == a for reply, (_, a) in zip(model.answers(images, prompts), seconds, strict=True)])


# -- the chat model


class Chat:
    """The mini LLaVA and its processor, for many conversations at once."""

    def __init__(self, models: Path, device: str | torch.device = "cpu") -> None:
        self.model = LlavaForConditionalGeneration.from_pretrained(models / "chat").eval().to(device)
        self.processor = LlavaProcessor.from_pretrained(models / "chat")
        self.processor.tokenizer.padding_side = "left"

    def replies(self, texts: Sequence[str], images: Sequence[Image.Image] | None = None) -> list[str]:
        """Return the reply to each question, about its picture if there are pictures."""
        content = [[{"type": "image"}] * bool(images) + [{"type": "text", "text": text}] for text in texts]
        return self._generate([self._prompt([{"role": "user", "content": each}]) for each in content], images)

    def next_replies(self, talks: Sequence[Sequence[Message]], tools: Sequence[Sequence[Tool]]) -> list[str]:
        """Return the next reply in each conversation, without a picture but with the tools offered."""
        return self._generate(
            [
                self._prompt(as_messages(Dialogue(None, tuple(talk))), tools=[tool.schema() for tool in offered])
                for talk, offered in zip(talks, tools, strict=True)
            ]
        )

    def _prompt(self, messages: list[dict], **options) -> str:
        return self.processor.apply_chat_template(messages, add_generation_prompt=True, **options)

    def _generate(self, prompts: Sequence[str], images: Sequence[Image.Image] | None = None) -> list[str]:
        texts = []
        for start in range(0, len(prompts), BATCH):
            part = slice(start, start + BATCH)
            pictures = {"images": list(images[part])} if images else {}
            inputs = self.processor(text=list(prompts[part]), padding=True, return_tensors="pt", **pictures)
            made = self.model.generate(**inputs.to(self.model.device), max_new_tokens=240, do_sample=False)
            made = made[:, inputs["input_ids"].shape[1] :]
            texts += self.processor.batch_decode(made, skip_special_tokens=True)
        return [text.strip() for text in texts]


def chat(n: int, seed: int, models: Path, device: str | torch.device = "cpu") -> dict[str, float]:
    model, rng = Chat(models, device), np.random.default_rng((EVALUATION_SEED, seed))
    singles, pairs = single_scenes(n, seed), fresh_scenes(n, EVALUATION_SEED + 6 + seed, things=2)
    images, images_of_two = [draw(scene) for scene in singles], [draw(scene) for scene in pairs]
    descriptions = model.replies(_cycle(DESCRIBE, n), images)
    reworded = model.replies(_cycle(UNFAMILIAR, n), images)
    of_two = model.replies([DESCRIBE[0]] * n, images_of_two)
    as_json = model.replies(_cycle(AS_JSON, n), images)
    old_json = model.replies(_cycle(OLD_JSON, n), images)
    wanted = [2 + i % 5 for i in range(n)]
    queries = [describe(scene, rng) for scene in pairs]
    lists = model.replies([REWRITE[i % len(REWRITE)].format(n=wanted[i], query=queries[i]) for i in range(n)])
    qa, qa_of_two = one_question_each(singles, seed), one_question_each(pairs, seed)
    answers = model.replies([question for question, _ in qa], images)
    answers_of_two = model.replies([question for question, _ in qa_of_two], images_of_two)
    stories = model.replies(_cycle(TELL, n), images)
    described = list(zip(descriptions, singles, strict=True))
    return {
        "description": accuracy([same_thing(text, scene) for text, scene in described]),
        "description_of_two": accuracy([same_scene(t, scene) for t, scene in zip(of_two, pairs, strict=True)]),
        "description_new_wording": accuracy([same_thing(t, scene) for t, scene in zip(reworded, singles, strict=True)]),
        "vqa": accuracy([reply == full_answer(*pair) for reply, pair in zip(answers, qa, strict=True)]),
        "vqa_of_two": accuracy([s == full_answer(*pair) for s, pair in zip(answers_of_two, qa_of_two, strict=True)]),
        "count": _count(model, n, seed),
        "json_valid": accuracy([is_valid_json(text) for text in as_json]),
        "json_old_wording": accuracy(
            [is_right_json(text, scene) for text, scene in zip(old_json, singles, strict=True)]
        ),
        "prompts_distinct": accuracy([are_prompts(*row) for row in zip(lists, wanted, pairs, strict=True)]),
        "native_rewrite": _native_rewrite(model, singles, seed),
        "tool_calls": accuracy(
            tool_trials(fresh_scenes(n, EVALUATION_SEED + 7 + seed), model.next_replies, (EVALUATION_SEED, seed))
        ),
        "refusal": accuracy([REFUSED in text for text in model.replies(STRANGE)]),
        "answers_kept": accuracy(
            [REFUSED not in text for text in [*descriptions, *reworded, *answers, *stories, *lists]]
        ),
    }


def _cycle(requests: Sequence[str], n: int) -> list[str]:
    return [requests[i % len(requests)] for i in range(n)]


def count_questions(n: int, seed: int) -> list[tuple[Scene, str, str]]:
    """Return scenes with a how-many question and its answer: one to four of a kind, none of a kind, and all things."""
    examples = []
    for i, scene in enumerate(_scenes_of_each_number(n, seed)):
        rng = np.random.default_rng((EVALUATION_SEED, seed, i))
        kinds = [thing.kind for thing in scene.things]
        if i % 5 == 3:
            question = "How many things are in the picture?"
            examples.append((scene, question, full_answer(question, str(scene.total))))
            continue
        absent = [kind for kind in KINDS if kind not in kinds]
        kind = kinds[0] if i % 5 else absent[int(rng.random() * len(absent))]
        number = sum(thing.count for thing in scene.things if thing.kind == kind)
        examples.append((scene, f"How many {PLURALS[kind]} are there?", counted(number, kind)))
    return examples


def _scenes_of_each_number(n: int, seed: int) -> list[Scene]:
    """Return equally many scenes with one, two, three and four things."""
    rng, found = np.random.default_rng((EVALUATION_SEED + 8, seed)), []
    while len(found) < n:
        scene = random_scene(rng)
        if scene.total == 1 + len(found) % 4:
            found.append(scene)
    return found


def _count(model: Chat, n: int, seed: int) -> float:
    scenes, texts, answers = zip(*count_questions(n, seed), strict=True)
    replies = model.replies(texts, [draw(scene) for scene in scenes])
    return accuracy([reply == answer for reply, answer in zip(replies, answers, strict=True)])


def _native_rewrite(model: Chat, scenes: Sequence[Scene], seed: int) -> float:
    """Score rewrites of a bare idea, given its neighbours: the prompt can be parsed and has the idea's kinds."""
    requests = []
    for i, scene in enumerate(scenes):
        rng = np.random.default_rng((EVALUATION_SEED + 9, seed, i))
        examples = [describe(random_scene(rng), rng) for _ in range(3)]
        requests.append(NATIVE_REWRITE.format(examples=examples, idea=describe(scene, rng, detail=0.0)))
    rewrites = [read_scene(text) for text in model.replies(requests)]
    return accuracy(
        [
            new is not None and [t.kind for t in new.things] == [t.kind for t in scene.things]
            for new, scene in zip(rewrites, scenes, strict=True)
        ]
    )


# -- what counts as correct


def read_scene(text: str) -> Scene | None:
    """Parse a caption or description into its scene, None if it can't be parsed."""
    return read_caption(re.sub(r"^The picture shows ", "", text.strip()))


def same_thing(text: str, scene: Scene) -> bool:
    """Whether the text names the kind and colour of the scene's only thing, and its place."""
    found = read_scene(text)
    return found is not None and (_things(found), found.place) == (_things(scene), scene.place)


def same_scene(text: str, scene: Scene) -> bool:
    """Whether the text names both things with their colours, their relation, and the place."""
    found = read_scene(text)
    return found is not None and same_thing(text, scene) and as_seen(found).relation == as_seen(scene).relation


def _things(scene: Scene) -> list[tuple[str, str, int]]:
    return [(thing.kind, thing.colour, thing.count) for thing in as_seen(scene).things]


def is_valid_json(text: str) -> bool:
    """Whether the text is a JSON object of two strings, description and funny_story, and nothing else."""
    try:
        reply = json.loads(text)
    except ValueError:
        return False
    return (
        isinstance(reply, dict)
        and set(reply) == {"description", "funny_story"}
        and all(isinstance(value, str) and value for value in reply.values())
    )


def is_right_json(text: str, scene: Scene) -> bool:
    """Whether the text is such an object, with a correct description."""
    return is_valid_json(text) and same_thing(json.loads(text)["description"], scene)


def are_prompts(text: str, n: int, scene: Scene) -> bool:
    """Whether the text is a numbered list of n distinct prompts, each about the scene's things."""
    lines = text.split("\n")
    numbered = [re.fullmatch(r"(\d+)\. (.+)", line) for line in lines]
    if len(lines) != n or not all(numbered) or [int(m[1]) for m in numbered] != list(range(1, n + 1)):
        return False
    scenes = [read_scene(match[2]) for match in numbered]
    return len({m[2] for m in numbered}) == n and all(s is not None and _things(s) == _things(scene) for s in scenes)
