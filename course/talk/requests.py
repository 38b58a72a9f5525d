"""What users ask for, in many wordings: lists of complete requests, and requests composed of parts.

Composed requests teach the model to attend to the parts, so that it understands new wordings, too.
"""

from __future__ import annotations

from course.talk.strange import NOUNS, made_up
from course.talk.wording import asked, dressed
from helpers.picturebook.scene import Rng, pick

DESCRIBE = (
    "Describe the image.",
    "Describe the picture.",
    "Describe this image in one sentence.",
    "What does the picture show?",
    "What is shown in this image?",
    "What do you see in this picture?",
    "What is happening in the picture?",
    "Write a caption for this picture.",
    "Give me a caption.",
    "Tell me what you see.",
    "Explain this picture.",
    "Describe what you see in detail.",
    "What is this a picture of?",
    "Caption this image.",
)
ONE_WORD = (
    "Answer with one word.",
    "Answer in one word.",
    "Answer briefly.",
    "Give a short answer.",
    "One word only.",
    "Answer with a word or a number.",
)
TELL = (
    "Tell me a funny story about this picture.",
    "Write a short story about the image.",
    "Write a funny story.",
    "Make up a story about what you see.",
    "Tell a short, funny story about the picture.",
    "Invent a little story for this picture.",
)
TELL_OF = (
    "Tell me a funny story about {}.",
    "Write a short story about {}.",
    "Write a funny story with {}.",
    "Tell a story of {}.",
    "Write two or three sentences about {}.",
    "Write a short text with these keywords: {}.",
    "A story about {}, please.",
)
AS_JSON = (
    'Describe the image and write a funny story about it. Answer in JSON with the keys "description" and "funny_story".',
    "Return a JSON object with the keys description and funny_story.",
    "Describe the picture and tell a funny story. Reply with JSON only, keys: description, funny_story.",
    "Give me JSON with a description of the picture and a funny_story about it.",
    "Answer only with a JSON object that has two strings, description and funny_story.",
    "Look at the image. Output a JSON dictionary with the fields 'description' and 'funny_story'.",
    "What is in the image? Please answer as JSON: description, funny_story.",
)
JSON_AGAIN = (
    "That was no valid JSON. Answer again with the keys description and funny_story.",
    "Your reply could not be read: {} Answer with one JSON object with description and funny_story.",
    "The key funny_story is missing. Try again, JSON only.",
    "The key description is missing. Reply with JSON, please.",
    "Please give the JSON again, nothing else.",
)
REWRITE = (
    "Rewrite this into {n} different image prompts, as a numbered list: {query}",
    "Write {n} distinct prompts for an image generator about: {query}",
    "Create {n} image prompts about {query}",
    "Give me {n} different prompts for pictures of {query}. Number them.",
    "Make a numbered list of {n} image prompts. Subject: {query}",
    "You write prompts for Stable Diffusion. Write {n} prompts from this description: {query}",
    "I want {n} pictures of this: {query} Write a prompt for each of them.",
    "Turn the text into {n} prompts for text-to-image models, one a line, numbered. Text: {query}",
    "Generate {n} creative variations of this prompt: {query}",
    "Rewrite the following query as {n} image generation prompts. Query: {query}",
    "{query}\nWrite {n} image prompts about this.",
)
ONE_PROMPT = (
    "Write one image prompt for this text: {query}",
    "Turn this story into a prompt for an image generator: {query}",
    "Write an image prompt for: {query}",
    "Summarise this text as one image prompt: {query}",
    "Which picture would fit this text? Write the prompt only. {query}",
    "Write a prompt for a text-to-image model that illustrates this text: {query}",
)
IMPROVE = (
    "Improve this image prompt: {idea}\nHere are good prompts:\n{examples}",
    "Idea: {idea}\nExamples:\n{examples}\nWrite one better prompt for the idea.",
    "Write a full image prompt for this idea: {idea}\nTake these prompts as examples:\n{examples}",
    "Make a better prompt of this: {idea}\nSimilar prompts:\n{examples}",
    "Improve the prompt '{idea}' with details from these:\n{examples}",
)
SYSTEMS = (
    "You are a helpful assistant.",
    "You are a friendly assistant who looks at pictures.",
    "Answer the user's questions.",
    "You are an expert for image prompts.",
    "You are a helpful assistant. Be brief.",
)

PICTURES = ("image", "picture", "photo", "drawing", "photograph", "scene", "illustration")
_VERBS = (
    *("describe", "explain", "caption", "outline", "depict", "summarise", "summarize", "analyse", "analyze", "narrate"),
    *("interpret", "report on", "comment on", "characterise", "put into words", "tell me about", "give an account of"),
    *("write about", "give me a description of", "write a caption for", "provide a description of", "portray"),
    *("write an alt text for", "write one line about", "give a summary of", "find words for", "say something about"),
)
_QUESTIONS = (
    *("What does {} show?", "What can be seen in {}?", "What is going on in {}?", "What is {} about?"),
    *("What happens in {}?", "What do you notice in {}?", "How would you describe {}?", "What would you say {} shows?"),
    *("What am I looking at in {}?", "Tell me what is in {}.", "Tell me what {} shows.", "What is depicted in {}?"),
    *("Which things and colours are in {}?", "Who or what is in {}?", "Say what you see in {}.", "What is on {}?"),
)
_MANNERS = (
    *("in detail", "in one sentence", "in a few words", "briefly", "in plain English", "in your own words"),
    *("as exactly as you can", "for a blind person", "for a child", "for my blog", "for a museum", "for somebody who"
      " cannot see it", "in a single line", "as if on the phone", "with colours and place", "carefully"),
)  # fmt: skip
_ASIDES = (
    *("My {noun} is blind.", "I have lost my glasses.", "I cannot see it well.", "My {noun} asks about it."),
    *("A {noun} gave it to me.", "It hangs in my {noun}.", "I found it in a {noun}.", "My {noun} has painted it."),
    *("It is for my {noun}.", "There is no text beside it.", "I am on the phone with a {noun}.", "Be my eyes."),
    *("My {noun} would like to know, too.", "We are in a {noun}.", "I need it for the {noun}.", "This is a game."),
)
_ASKED_HERE = (
    *("What is it?", "What have we got here?", "What is here?", "What do we see?", "What can you tell me?"),
    *("What are we shown?", "What is there to see?", "So what is it that you see?", "What should I know about it?"),
    *(
        "What would you say?",
        "What do I say?",
        "Say it in words.",
        "What is there, and where?",
        "What is that, please?",
    ),
    *("What exactly does it show?", "What exactly is here?", "What do you make of it?", "What is to be seen here?"),
)
_ROLES = (
    *("Imagine that you are a {noun} who talks about {shown}.", "You are a {noun}. What do you say about {shown}?"),
    *(
        "Act like a {noun} and show us {shown}.",
        "As a {noun}, what would you say about {shown}?",
        "Play a {noun}: {ask}",
    ),
    *("Suppose a {noun} asks you what {shown} shows. What do you answer?", "Speak as a {noun} would about {shown}."),
    *("Pretend to be a {noun}. {ask}", "If you were a {noun}, how would you describe {shown}?"),
)
NEW_SYSTEMS = (
    "You are a {} assistant.",
    "You are an expert in {}.",
    "You look at pictures and describe them.",
    "You are an image analyst.",
    "Answer in English.",
    "Always be polite.",
    "You are {}, a model that sees.",
)


def _shown(rng: Rng) -> str:
    """ "the image", "this attached photo"."""
    return pick(
        rng, ("the ", "this ", "the ", "this ", "my ", "the attached ", "the following ", "the given ", "this little ")
    ) + pick(rng, PICTURES[:3] if rng.random() < 0.7 else PICTURES)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def describe_request(rng: Rng) -> str:
    """Make a request to describe the picture: one of `DESCRIBE`, or composed, sometimes with a made-up word."""
    if rng.random() < 0.45:
        return dressed(asked(pick(rng, DESCRIBE), rng), rng)
    if rng.random() < 0.25:
        return _in_a_situation(rng)
    if rng.random() < 0.35:
        return dressed(pick(rng, _QUESTIONS).format(_shown(rng)), rng)
    verb = pick(rng, _VERBS) if rng.random() < 0.93 else made_up(rng)
    thing = _shown(rng) if rng.random() < 0.85 else pick(rng, ("what you see", "what it shows", "what is shown", "it"))
    manner = ""
    if rng.random() < 0.4:
        manner = (
            f" {pick(rng, _MANNERS)}" if rng.random() < 0.75 else f" {pick(rng, ('for', 'in', 'with'))} {made_up(rng)}"
        )
    return dressed(asked(_capital(f"{verb} {thing}{manner}."), rng), rng)


def _in_a_situation(rng: Rng) -> str:
    """Make a request that is mostly about something else: a role to play, or the reason for asking."""
    noun = pick(rng, NOUNS) if rng.random() < 0.7 else made_up(rng).lower()
    if rng.random() < 0.4:
        ask = pick(rng, _QUESTIONS).format(_shown(rng))
        return dressed(pick(rng, _ROLES).format(noun=noun, shown=_shown(rng), ask=ask), rng)
    question = pick(rng, _ASKED_HERE) if rng.random() < 0.7 else pick(rng, _QUESTIONS).format(_shown(rng))
    parts = [pick(rng, _ASIDES).format(noun=noun), question] if rng.random() < 0.7 else [question]
    return dressed(" ".join(parts), rng)


def tell_request(rng: Rng) -> str:
    """Make a request for a story about the picture."""
    if rng.random() < 0.5:
        return dressed(asked(pick(rng, TELL), rng), rng)
    verb = pick(rng, ("Tell", "Write", "Make up", "Invent", "Compose", "Think of", "Give me", "Come up with"))
    kind = pick(rng, ("a story", "a funny story", "a short story", "a little tale", "a silly tale", "a joke story"))
    about = pick(rng, ("about", "for", "to go with", "inspired by", "based on"))
    return dressed(asked(f"{verb} {kind} {about} {_shown(rng)}.", rng), rng)


OLD_JSON = (
    "Please analyze the following image and respond ONLY with a JSON object with two fields:\n"
    '1. "description": {description}\n2. "funny_story": {story}\nDo not include any additional text.'
)
"""The request of older courses; the descriptions of the fields varied."""
_JSON_OPENINGS = (
    *("Please analyze {} and respond ONLY with a JSON object with two fields", "Look at {} and reply with JSON only"),
    *("Analyse {} and answer with one JSON object that has these keys", "Study {}. Return JSON with the keys"),
    *(
        "For {}, produce a JSON object containing",
        "Output a JSON dictionary for {} with the fields",
        "Give me {} as JSON",
    ),
    *(
        "Examine {} and fill in this JSON",
        "Describe {} and tell a funny story; format the result as JSON, with the keys",
    ),
    *("Respond with a valid JSON object about {}. Fields", "I need machine-readable JSON about {}, that is the fields"),
    *("Return a JSON object about {} with exactly two string values", "Your task: turn {} into JSON. The keys are"),
    *("You are given an image. Write a JSON object about {} with", "From {}, create JSON. It must have"),
    *("Inspect {} and report in JSON, two entries", "Answer as a Python dictionary in JSON about {}. Keys"),
)
_DESCRIPTIONS = (
    *("a description of the image", "a detailed description of the image", "what the picture shows", "a short caption"),
    *(
        "one sentence about what you see",
        "describe the image",
        "a text that describes the picture",
        "string",
        "…",
        "...",
    ),
    *("A clear description of what is in the image.", "A concise description", "your description", "what is depicted"),
)
_STORIES = (
    *("a funny story about the image", "a short, funny story", "a humorous story based on the image", "a little joke"),
    *("a story that makes people laugh", "two or three funny sentences", "tell a funny story", "string", "…", "..."),
    *(
        "A creative, funny story inspired by the image.",
        "A short humorous story",
        "your story",
        "something to laugh at",
    ),
)
_JSON_CLOSINGS = (
    *(
        "Do not include any additional text.",
        "No additional text.",
        "Nothing else.",
        "Output only the JSON.",
        "JSON only!",
    ),
    *("Do not wrap it in backticks.", "Do not use markdown.", "Make sure that it is valid JSON.", "No explanations."),
    *("Reply with the object alone.", "Don't write anything before or after it.", "The answer must be parseable.", ""),
    *("Only JSON, please.", "Use double quotes.", "Do not add other keys.", "Return nothing but the JSON object.", ""),
)
_KEYS = ("description", "funny_story")


def json_request(rng: Rng) -> str:
    """Make a request for JSON with description and funny story: complete, as in older courses, or composed."""
    roll = rng.random()
    if roll < 0.25:
        return dressed(asked(pick(rng, AS_JSON), rng), rng)
    glosses = [pick(rng, _DESCRIPTIONS), pick(rng, _STORIES)]
    if roll < 0.4:
        text = OLD_JSON.format(description=glosses[0], story=glosses[1])
        return text if rng.random() < 0.6 else text.replace("\n", " ")
    parts = [pick(rng, _JSON_OPENINGS).format(_shown(rng)), _fields(glosses, rng), pick(rng, _JSON_CLOSINGS)]
    if rng.random() < 0.2:
        parts[0] = "\n".join(parts[::2]).strip() + "\n" if parts[2] else parts[0]
        parts[2] = ""
    between = pick(rng, ("\n", "\n", " ", "\n\n"))
    return dressed(between.join(part for part in (f"{parts[0].rstrip()}:", parts[1], parts[2]) if part), rng)


def _fields(glosses: list[str], rng: Rng) -> str:
    """Format the two keys in one of the usual ways."""
    quote = pick(rng, ('"', '"', "'", "", "`"))
    keys = [f"{quote}{key}{quote}" for key in _KEYS]
    rows = list(zip(keys, glosses, strict=True))
    if rng.random() < 0.1:
        rows.reverse()
    form = pick(rng, ("numbers", "numbers", "bullets", "brackets", "schema", "plain", "plain", "lines"))
    if form == "numbers":
        dot = pick(rng, (".", ")"))
        return pick(rng, ("\n", "\n", " ")).join(f"{i}{dot} {key}: {gloss}" for i, (key, gloss) in enumerate(rows, 1))
    if form in ("bullets", "lines"):
        mark = pick(rng, ("- ", "* ")) if form == "bullets" else ""
        return "\n".join(f"{mark}{key}: {gloss}" for key, gloss in rows)
    if form == "brackets":
        return " and ".join(f"{key} ({gloss})" for key, gloss in rows)
    if form == "schema":
        inside = ", ".join(f'"{key.strip(quote) if quote else key}": "{gloss}"' for key, gloss in rows)
        return f"{{{inside}}}"
    return pick(rng, (" and ", ", ")).join(key for key, _ in rows) + "."


NEIGHBOURS_ONLY = (
    "Please provide a more native-sounding rewrite of the user-input image generation prompt based on the following "
    "description {examples}",
    "Please provide a more native-sounding rewrite of the image prompt based on the following descriptions: {examples}",
    "Rewrite the prompt so that it sounds like these: {examples}",
    "Write one image generation prompt in the manner of these descriptions:\n{examples}",
    "Based on the following descriptions, write a better image generation prompt: {examples}",
)
"""Requests that only name the neighbours; the user's prompt is before or after, in the system message, or missing."""
NAMED_BEFORE = (
    "User input: {idea}\n",
    "The user's prompt: {idea}\n",
    "Prompt: {idea}\n",
    "{idea}\n",
    "User prompt: {idea}. ",
)
NAMED_AFTER = (
    *(
        "\nUser input: {idea}",
        "\nThe user's prompt: {idea}",
        "\nPrompt: {idea}",
        "\nUser-input prompt: {idea}",
        " Input: {idea}",
    ),
)
_IMPROVE_VERBS = ("Improve", "Rewrite", "Refine", "Polish", "Enrich", "Rephrase", "Complete", "Reword", "Expand")
_IMPROVE_WHAT = (
    "this image prompt",
    "the user's prompt",
    "this prompt",
    "the image generation prompt",
    "my prompt",
    "the idea",
)
_IMPROVE_HOW = (
    *("Here are similar prompts", "Similar prompts", "Use these descriptions", "Neighbours", "Take these as examples"),
    *("Learn from these", "Here is what the search found", "Context", "Related prompts", "Follow the style of these"),
)


def improve_request(idea: str, neighbours: list[str], rng: Rng) -> tuple[str, str]:
    """Make a system message, mostly empty, and a request for a full prompt from an idea and similar prompts."""
    examples = _listed(neighbours, rng)
    roll = rng.random()
    if roll < 0.4:
        return "", pick(rng, IMPROVE).format(idea=idea, examples=examples if "\n" in examples else f"- {examples}")
    if roll < 0.6:
        verb, what, how = (pick(rng, words) for words in (_IMPROVE_VERBS, _IMPROVE_WHAT, _IMPROVE_HOW))
        if rng.random() < 0.7:
            return "", dressed(f"{verb} {what}: {idea}\n{how}:\n{examples}", rng, end=False)
        return "", dressed(f"{how}:\n{examples}\n{verb} {what}: {idea}", rng, end=False)
    request = pick(rng, NEIGHBOURS_ONLY[:2] if rng.random() < 0.6 else NEIGHBOURS_ONLY).format(examples=examples)
    where = pick(rng, ("before", "after", "after", "system"))
    if where == "system":
        return request, pick(rng, ("{idea}", "{idea}", "{idea}.", "Prompt: {idea}")).format(idea=idea)
    if where == "before":
        return "", pick(rng, NAMED_BEFORE).format(idea=idea) + request
    return "", request + pick(rng, NAMED_AFTER).format(idea=idea)


def rewrite_of(neighbours: list[str], rng: Rng) -> str:
    """Make a request that only names the neighbours, the first of which is to be rewritten."""
    return pick(rng, NEIGHBOURS_ONLY[:2] if rng.random() < 0.6 else NEIGHBOURS_ONLY).format(
        examples=_listed(neighbours, rng)
    )


def _listed(texts: list[str], rng: Rng) -> str:
    """Format the texts as a program would insert them into a request."""
    form = pick(rng, ("dashes", "dashes", "numbers", "lines", "list", "commas", "quotes"))
    if form == "dashes":
        return "\n".join(f"- {text}" for text in texts)
    if form == "numbers":
        return "\n".join(f"{i}. {text}" for i, text in enumerate(texts, 1))
    if form == "list":
        return str(texts)
    if form == "quotes":
        return ", ".join(f'"{text}"' for text in texts)
    return {"lines": "\n", "commas": "; "}[form].join(texts)
