"""`chat_prompt` and `Conversation`: the memory as text, and the class that keeps it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from helpers.checks.calls import call
from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_type
from helpers.checks.nb04.asking import ask, expect_picture_and_text, expect_reply
from helpers.checks.samples import random_drawing
from helpers.checks.words import described

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Conversation", "chat_prompt"]

Turn = tuple[str, str]

chat_prompt, Conversation = Exercise("chat_prompt"), Exercise("Conversation")


@chat_prompt.given
@Conversation.given
def turns(rng) -> list[Turn]:
    """Six different questions, each with an answer; no two answers are the same."""
    from helpers.picturebook import COLOURS, KINDS, questions, random_scene

    texts = [question for question, _ in questions(random_scene(rng, things=1), rng)]
    return list(zip(rng.sample(texts, 6), rng.sample(KINDS + COLOURS, 6), strict=True))


# -- chat_prompt


@chat_prompt.core(40)
def all_turns_in_order(chat_prompt, turns) -> None:
    """all earlier turns, the oldest first, and then the question"""
    question = turns[-1][0]
    for length in (0, 1, 2, 3, 5):
        memory = turns[:length]
        result = _prompt_from(chat_prompt, memory, question)
        expect(
            _turns_in(result) == [*memory, (question, "")],
            f"{_what_is_wrong_with_turns(result, memory, question)} {_both(result, _prompt(memory, question))}",
        )


@chat_prompt.core(25)
def spaces_and_full_stops(chat_prompt, turns) -> None:
    """single spaces, and one full stop after each earlier answer"""
    question = turns[-1][0]
    for length in (1, 4, 0):
        _compare(chat_prompt, turns[:length], question, _prompt(turns[:length], question))


@chat_prompt.edge(10)
def answers_with_a_full_stop(chat_prompt, turns) -> None:
    """no second full stop after an answer that ends with one"""
    question, memory = turns[-1][0], [(earlier, f"{answer}.") for earlier, answer in turns[:3]]
    _compare(chat_prompt, memory, question, _prompt(turns[:3], question))


@chat_prompt.edge(9)
def spaces_around(chat_prompt, turns) -> None:
    """spaces around questions and answers don't count"""
    question, memory = turns[-1][0], [(f" {earlier} ", f" {answer} ") for earlier, answer in turns[:2]]
    _compare(chat_prompt, memory, f"  {question}\n", _prompt(turns[:2], question))


@chat_prompt.edge(8)
def memory_unchanged(chat_prompt, turns) -> None:
    """the memory is left unchanged"""
    call(chat_prompt, turns[:3], turns[-1][0])


@chat_prompt.edge(8)
def words_unchanged(chat_prompt, turns) -> None:
    """questions without a question mark, and answers of several words, are left unchanged"""
    memory = [("Describe it", "A cat. It is Red, I think"), ("Count them!", "one, two"), turns[0]]
    _compare(chat_prompt, memory, "Tell me more.", _prompt(memory, "Tell me more."))


def _prompt(memory: Sequence[Turn], question: str) -> str:
    earlier = "".join(f"Question: {asked} Answer: {answer}. " for asked, answer in memory)
    return f"{earlier}Question: {question} Answer:"


def _turns_in(prompt: str) -> list[Turn]:
    """The questions and answers in a prompt, without spaces and full stops around them."""
    found = re.findall(r"Question:(.*?)Answer:(.*?)(?=Question:|$)", prompt, re.DOTALL)
    return [(question.strip(" \n"), answer.strip(" \n.")) for question, answer in found]


def _prompt_from(chat_prompt, memory: list[Turn], question: str) -> str:
    result = chat_prompt(list(memory), question)
    expect_type(result, str, "What chat_prompt returns")
    return result


def _what_is_wrong_with_turns(result: str, memory: list[Turn], question: str) -> str:
    found, wanted = _turns_in(result), [*memory, (question, "")]
    if len(found) == len(wanted) and sorted(found) == sorted(wanted):
        return "The order is wrong: the oldest turn comes first, the new question last."
    if len(found) < len(wanted):
        return "Not all of the memory is in the prompt."
    return "The prompt is wrong."


def _compare(chat_prompt, memory: list[Turn], question: str, right: str) -> None:
    result = _prompt_from(chat_prompt, memory, question)
    expect(result == right, f"{_what_is_wrong(result, right)} {_both(result, right)}")


def _what_is_wrong(result: str, right: str) -> str:
    if result.rstrip() == right:
        return "The prompt should end right after 'Answer:'; the space belongs to the answer's first token."
    if result.replace(". Question", " Question") == right.replace(". Question", " Question"):
        return "An earlier answer should be followed by one full stop, before the next question."
    if ".." in result:
        return "There are two full stops: an answer that ends with one should not get another."
    if " ".join(result.split()) == right:
        return (
            "The parts should be separated by single spaces, even if there are spaces around a question or an answer."
        )
    return "The prompt is wrong."


def _both(result: str, right: str) -> str:
    return f"It should be {right!r}, but it is {result!r}."


# -- Conversation


@Conversation.given
def drawings(rng) -> list[Image.Image]:
    """Two drawings."""
    return [random_drawing(rng, 128, things=2), random_drawing(rng, 128, things=1)]


@Conversation.core(40)
def requests_with_the_memory(Conversation, drawings, turns) -> None:
    """each question is asked about the picture, with all earlier turns"""
    chat = _fresh(Conversation, drawings[0])
    for number, (question, answer) in enumerate(turns[:5]):
        _expect_turn(chat, drawings[0], turns[:number], question, answer)


@Conversation.core(25)
def memory_of_all_turns(Conversation, drawings, turns) -> None:
    """memory has all questions with their answers, the oldest first"""
    chat = _fresh(Conversation, drawings[0])
    for number, (question, answer) in enumerate(turns[:3], 1):
        ask(chat.ask, question, reply=f" {answer}")
        expect(
            _memory(chat) == turns[:number],
            f"After {number} {'question' if number == 1 else 'questions'} the memory should be {turns[:number]}, but it is "
            f"{chat.memory!r}.",
        )


@Conversation.edge(15)
def two_conversations(Conversation, drawings, turns) -> None:
    """two conversations, each with its own picture and memory"""
    chats, memories = [Conversation(image) for image in drawings], ([], [])
    for number, (question, answer) in enumerate(turns[:5]):
        which = number % 2
        _expect_memories(chats, memories)
        _expect_turn(chats[which], drawings[which], memories[which], question, answer)
        memories[which].append((question, answer))
    _expect_memories([*chats, Conversation(drawings[0])], [*memories, []])


@Conversation.edge(10)
def reset(Conversation, drawings, turns) -> None:
    """reset() empties the memory and keeps the picture"""
    chat = _fresh(Conversation, drawings[1])
    for question, answer in turns[:2]:
        ask(chat.ask, question, reply=f" {answer}")
    chat.reset()
    expect(_memory(chat) == [], f"After reset() the memory should be empty, but it is {chat.memory!r}.")
    _expect_turn(chat, drawings[1], [], *turns[2])


@Conversation.edge(10)
def memory_set_from_outside(Conversation, drawings, turns) -> None:
    """a memory that is set from outside is used"""
    chat = _fresh(Conversation, drawings[0])
    ask(chat.ask, turns[0][0], reply=f" {turns[0][1]}")
    chat.memory = turns[1:3]
    _expect_turn(chat, drawings[0], turns[1:3], *turns[3])


def _fresh(Conversation: type, image: Image.Image) -> Any:
    """A new conversation with its own memory; another case checks whether conversations share one."""
    chat = Conversation(image)
    if getattr(chat, "memory", None):
        chat.memory = []
    return chat


def _memory(chat: Any) -> list[Turn]:
    """The conversation's memory; turns may be lists or tuples, and answers may keep their spaces and full stop."""
    memory = getattr(chat, "memory", None)
    expect(type(memory) is list, f"memory should be a list, but it is {described(memory)}.")
    expect(
        all(isinstance(turn, (list, tuple)) and [type(part) for part in turn] == [str, str] for turn in memory),
        f"memory should be a list of pairs (question, answer), but it is {memory!r}.",
    )
    return [(question, answer.strip().rstrip(".")) for question, answer in memory]


def _expect_memories(chats: list, memories: Sequence[list[Turn]]) -> None:
    for chat, right in zip(chats, memories, strict=True):
        memory = _memory(chat)
        expect(
            bool(right) or not memory,
            "A conversation remembers another one's questions: they share a list. Make a new list in __init__, with "
            "self.memory = [], not in the class and not as a default argument.",
        )
        expect(memory == right, f"This conversation's memory should be {right}, but it is {chat.memory!r}.")


def _expect_turn(chat: Any, image: Image.Image, memory: Sequence[Turn], question: str, answer: str) -> None:
    """Ask; raise `CheckFailed` unless the model gets picture, memory and question, and its answer is returned."""
    recorded = ask(chat.ask, question, reply=f" {answer}")
    expected = _prompt(memory, question)
    if _turns_in(recorded.request.text) == [*memory, (question, "")]:
        expected = recorded.request.text  # spaces and full stops are checked with chat_prompt
    expect_picture_and_text(recorded, image, expected)
    expect_reply(recorded, prompt=recorded.request.text)
