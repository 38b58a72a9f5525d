"""`image_prompt`: its request to the chat model, and the prompt that it finds in plain and chatty replies."""

from __future__ import annotations

from helpers.checks.calls import expect_asked_once
from helpers.checks.cases import Exercise
from helpers.checks.expect import expect, expect_raises
from helpers.checks.fakes import scripted_chat, text_of
from helpers.checks.samples import random_prompts
from helpers.checks.words import cut, described

__all__ = ["image_prompt"]

image_prompt = Exercise("image_prompt")


@image_prompt.given
def prompts(rng) -> list[str]:
    """Prompts as a chat model may write them."""
    return random_prompts(rng, 8)


@image_prompt.given
def story(rng) -> str:
    from helpers import stories

    return f"{rng.choice(stories.read())}\n\n{rng.choice(['The end.', 'That is all.'])}"


# -- core


@image_prompt.core(25)
def request_and_reply(image_prompt, prompts, story) -> None:
    """one request for a prompt, with the whole text, and the reply as a string"""
    for prompt in (prompts[0], f"{prompts[1].capitalize()}."):
        chat = scripted_chat([f"  {prompt} \n"])
        result = image_prompt(chat, story)
        expect_asked_once(chat.requests)
        request = text_of(chat.requests[0])
        expect(
            story in request, f"The whole text should be in the request. The text: {story!r}; the request: {request!r}"
        )
        expect("prompt" in request.lower(), f"The request should ask for a prompt, but it is {request!r}.")
        _expect_prompt(result, prompt, f"  {prompt} \n")


@image_prompt.core(20)
def first_line_that_is_a_prompt(image_prompt, prompts) -> None:
    """without the lines around it: lines that end with a colon, empty lines, further lines"""
    one, two, three, four = prompts[:4]
    _expect_prompts(
        image_prompt,
        {
            f"\n\n{one}": one,
            f"Here is your image prompt:\n\n{two}\n\nI hope you like it!": two,
            f"Sure! This would fit:\n{three}\nor {three}, and many more words about it": three,
            f"Of course:\n\n{four}\nWhy it works: contrast.": four,
        },
    )


@image_prompt.core(20)
def without_quotes(image_prompt, prompts) -> None:
    """without quotes around it, and without "Prompt:" before it"""
    one, two, three, four = prompts[:4]
    _expect_prompts(
        image_prompt,
        {
            f'"{one}"': one,
            f" '{two}'\n": two,
            f"Prompt: {three}": three,
            f"PROMPT:{four}": four,
            f"Image prompt: {one}": one,
        },
    )


# -- edges


@image_prompt.edge(6)
def without_list_marks(image_prompt, prompts) -> None:
    """without a list marker before it"""
    one, two, three, four = prompts[:4]
    _expect_prompts(
        image_prompt,
        {
            f"1. {one}\n2. {one}, and a dog": one,
            f"2) {two}": two,
            f"- {three}\n- {three}, and a dog": three,
            f"  * {four}": four,
            f"12. {one}": one,
        },
    )


@image_prompt.edge(5)
def without_other_marks(image_prompt, prompts) -> None:
    """without backticks, asterisks and curly quotes around it"""
    one, two, three, four = prompts[:4]
    _expect_prompts(image_prompt, {f"`{one}`": one, f"**{two}**": two, f"“{three}”": three, f"*{four}*": four})


@image_prompt.edge(6)
def without_combinations(image_prompt, prompts, rng) -> None:
    """without several of these at once: a list marker before quotes, "Prompt:" inside or before them"""
    wholes = [
        *('1. "{}"', "- `{}`", "2) “{}”", "1. Prompt: {}", "- Image prompt: {}", '"Prompt: {}"', 'Prompt: "{}"'),
        *("**Prompt:** {}", '1. "Prompt: {}"', "**Image prompt:**\n{}", '1. Prompt:\n2. "{}"'),
    ]
    replies = {whole.format(prompt): prompt for whole in wholes for prompt in rng.sample(prompts, 2)}
    _expect_prompts(image_prompt, replies)


@image_prompt.edge(4)
def without_fences(image_prompt, prompts) -> None:
    """without a code fence around it"""
    one, two, three = prompts[:3]
    _expect_prompts(
        image_prompt,
        {f"```\n{one}\n```": one, f"Here it is:\n```text\n{two}\n```\nEnjoy!": two, f'  ```\n"{three}"\n  ```': three},
    )


@image_prompt.edge(4)
def parts_of_the_prompt(image_prompt, prompts) -> None:
    """numbers, quotes and colons that belong to the prompt are kept"""
    kept = [f"3 {prompts[0]}", f"12.5 {prompts[1]}", f'{prompts[2]}, with "OPEN" on it', f"2 {prompts[3]}: a study"]
    _expect_prompts(image_prompt, {f"{prompt}\n": prompt for prompt in kept})


@image_prompt.edge(5)
def empty_replies(image_prompt) -> None:
    """a ValueError if no line is left"""
    for reply in ("", " \n\n ", '""', "``` \n```", "Here is your prompt:", "Prompt:", "1. Prompt:\n2. ''"):
        expect_raises(
            lambda reply=reply: image_prompt(scripted_chat([reply]), "a story"),
            ValueError,
            f"the reply {reply!r}, in which there is no prompt",
            hint="A generator would draw that.",
        )


@image_prompt.edge(5)
def braces_in_the_text(image_prompt, prompts, story) -> None:
    """a text with braces in it"""
    chat, text = scripted_chat([prompts[0]]), f"{story} {{red}}"
    _expect_prompt(image_prompt(chat, text), prompts[0], prompts[0])
    request = text_of(chat.requests[0])
    expect(
        text in request,
        f"The text should be in the request with its braces. The text: {text!r}; the request: {request!r}",
    )


def _expect_prompts(image_prompt, replies: dict[str, str]) -> None:
    """Raise `CheckFailed` unless each reply gives its prompt."""
    for reply, prompt in replies.items():
        _expect_prompt(image_prompt(scripted_chat([reply]), "a story"), prompt, reply)


def _expect_prompt(result, prompt: str, reply: str) -> None:
    expect(
        isinstance(result, str),
        f"image_prompt should return a string, but it returned {described(result)}. A message's text is in .text.",
    )
    expect(
        result == prompt,
        f"From the reply {cut(reply, 200)!r}, image_prompt should return {prompt!r}, but it returned {cut(result, 200)!r}.",
    )
