"""Answers to the exercises of notebook 06: right ones, written differently, and mistakes that students make.

Each is the whole text of an exercise's cell. It runs after the notebook's set-up cells; another exercise's function
that it calls is there as in the solution.
"""

# A request and its answer, step by step; a mistake is made in one of the steps.
DRAW = """
def txt2img(prompt, *, url, steps=20, seed=0, n=1, timeout=60):
    address = {address}
    body = {body}
    try:
        answer = requests.post(address, json=body, timeout={timeout})
        if {refused}:
            raise RuntimeError(f"The server refused with {{answer.status_code}}: {{answer.text}}")
        found = answer.json()["images"]
        pictures = [{picture} for letters in found]
    except requests.Timeout:
        raise RuntimeError(f"No answer within {{timeout}} seconds.")
    except {unreachable} as error:
        raise RuntimeError(f"{{address}} can't be reached: {{error}}")
    except (OSError, TypeError, AttributeError{caught}) as error:
        raise RuntimeError(f"No JSON with images, or one is not a picture ({{error}}).")
    {end}
"""
DRAW_RIGHT = {
    "address": 'url if url.endswith("/sdapi/v1/txt2img") else url.rstrip("/") + "/sdapi/v1/txt2img"',
    "body": "dict(prompt=prompt, steps=steps, seed=seed, n_iter=n)",
    "timeout": "timeout",
    "unreachable": "requests.ConnectionError",
    "refused": "answer.status_code != 200",
    "picture": 'Image.open(io.BytesIO(base64.b64decode(letters.rpartition(",")[2]))).convert("RGB")',
    "caught": ", ValueError, KeyError",
    "end": """if len(pictures) != n:
        raise RuntimeError(f"{len(pictures)} images came, {n} were wanted.")
    return pictures""",
}

FIND = """
def get_text(keywords, *, texts=STORIES, chat=None):
    {body}
"""

# Search and writing, step by step; a mistake is made in one of the steps.
SEARCH = """
def get_text(keywords, *, texts=STORIES, chat=None):
    if not isinstance(keywords, str):
        keywords = " ".join(keywords)
    wanted = sorted({wanted})
    best, score = None, {start}
    for text in texts:
        mine = 0
        for word in wanted:
            if {has}:
                mine += {weight}
        if mine {better} score:
            best, score = text, mine
    {none}
    if chat is None:
        return best
    {write}
"""
SEARCH_RIGHT = {
    "wanted": "set(stories.words(keywords))",
    "start": "0",
    "has": "word in stories.words(text)",
    "weight": "math.log(1 + len(texts) / sum(word in stories.words(each) for each in texts))",
    "better": ">",
    "none": """if best is None:
        raise ValueError(f"No text has {keywords}")""",
    "write": """request = ASK_FOR_TEXT.format(keywords=keywords, example=best)
    return chat.invoke(request).text.strip()""",
}

PROMPT = """
def image_prompt(chat, text):
    {body}
"""

# Asking, and cleaning up line by line; a mistake is made in one of the steps.
CLEAN = """
def image_prompt(chat, text):
    reply = {reply}
    for line in reply.split("\\n"):
        line = line.strip()
        if line.startswith({fence}):
            continue
        line = re.sub(r"{mark}", "", line)
        line = line.strip({around})
        line = re.sub(r"(?i)^(image )?prompt ?:", "", line).strip({around})
        if {good}:
            return line
    {end}
"""
CLEAN_RIGHT = {
    "reply": "chat.invoke(ASK_FOR_PROMPT.replace('{text}', text)).text",
    "fence": '"```"',
    "mark": r"^(\d+[.)]|[-*])\s+",
    "around": '" \\"\'`*“”"',
    "good": 'line and line[-1] != ":"',
    "end": 'raise ValueError("the model wrote no prompt")',
}

# Hints 1 and 2, word by word.
BY_THE_HINT = """
def image_prompt(chat, text):
    reply = (ChatPromptTemplate.from_messages([("human", ASK_FOR_PROMPT)]) | chat | StrOutputParser()).invoke({"text": text})
    for line in reply.splitlines():
        if line.strip().startswith("```"):
            continue
        line = re.sub(r"^(\\d+[.)]|[-*])\\s+", "", line.strip())
        line = line.strip(" \\"'`*“”")
        line = re.sub(r"^(image )?prompt:", "", line, flags=re.IGNORECASE)
        line = line.strip(" \\"'`*“”")
        if line and not line.endswith(":"):
            return line
    raise ValueError("there is no prompt in the reply")
"""

BEST = """
def best_of_n(text, prompt, n, *, generate, rate):
    {body}
"""

UNTIL = """
def until_accepted(text, prompt, threshold, max_tries, *, generate, rate):
    {body}
"""
# Try after try; a mistake is made in one of the steps.
TRY = UNTIL.format(
    body="""if {few}:
        raise ValueError(f"max_tries={{max_tries}} is too few")
    best, score, scores = None, None, []
    for i in range({tries}):
        picture = generate(prompt, seed={seed})
        scores.append(rate({rated}, picture))
        if best is None or scores[-1] > score:
            best, score = picture, scores[-1]
        if scores[-1] {enough} threshold:
            return {accepted}
    {end}"""
)
TRY_RIGHT = {
    "few": "max_tries < 1",
    "tries": "max_tries",
    "seed": "i",
    "rated": "text",
    "enough": ">=",
    "accepted": "best, score, scores",
    "end": """print(f"After {max_tries} tries no picture was good enough; this is the best of them.")
    return best, score, scores""",
}

PIPELINE = """
def run_pipeline(keywords, *, n=5, chat=None, generate=draw_one, rate=rate_image, second=rate_image_by_caption):
    {body}
"""
# Stage after stage; a mistake is made in one of them.
STAGES = PIPELINE.format(
    body="""if chat is None:
        chat = chat_model("text")
    record = {{"keywords": keywords, "text": get_text(keywords{retrieval})}}
    record["prompt"] = image_prompt(chat, {asked})
    drawn = best_of_n({rated}, record["prompt"], {n}, generate=generate, rate={judge})
    record["image"], record["score"], record["scores"] = drawn
    record["second_score"] = second({seconded}, record["image"])
    {shown}
    return {returned}"""
)
STAGES_RIGHT = {
    "retrieval": "",
    "asked": 'record["text"]',
    "rated": 'record["prompt"]',
    "n": "n",
    "judge": "rate",
    "seconded": 'record["prompt"]',
    "shown": "show_record(record)",
    "returned": "record",
}

# Tool by tool; a mistake is made in one of the steps.
AGENT = """
def picture_agent(model, *, generate, rate):
    numbers = count(1)
    pictures = {{}}

    @tool
    def draw({drawn}: str) -> dict:
        \"\"\"Draw a picture, and return its id.\"\"\"
        {draw}

    @tool({name})
    def rate_picture(picture_id: str, text: str):
        \"\"\"Rate how well a picture fits a text, from 0 to 1.\"\"\"
        {check}
        {rate}

    return create_agent(model, tools={tools}, middleware={limit})
"""
AGENT_RIGHT = {
    "drawn": "prompt",
    "draw": """number = next(numbers)
        pictures[f"p{number}"] = generate(prompt, seed=number - 1)
        return {"picture_id": f"p{number}"}""",
    "name": '"rate"',
    "check": """if picture_id not in pictures:
            return {"error": f"no picture {picture_id}, only {list(pictures)}"}""",
    "rate": 'return {"score": round(rate(text, pictures[picture_id]), 2)}',
    "tools": "[draw, rate_picture]",
    "limit": '[ToolCallLimitMiddleware(run_limit=6, exit_behavior="end")]',
}

# A class in place of closures, texts in place of dicts, and a limit of its own.
AGENT_CLASS = """
class Studio:
    def __init__(self, generate, rate):
        self.generate, self.score, self.made, self.seeds = generate, rate, {}, iter(range(1000))

    def draw(self, prompt: str) -> str:
        "Draws a new picture and gives it an id."
        seed = next(self.seeds)
        self.made[f"p{seed + 1}"] = self.generate(prompt, seed=seed)
        return f"Picture p{seed + 1} is ready."

    def rate(self, picture_id: str, text: str) -> str:
        "Says how well the picture with this id fits the text."
        try:
            return f"The score is {self.score(text, self.made[picture_id]):.2f}."
        except KeyError:
            return f"There is no {picture_id}. There are: {', '.join(self.made)}"


def picture_agent(model, *, generate, rate):
    from langchain.agents.middleware import AgentMiddleware, hook_config
    from langchain_core.messages import AIMessage

    class Stop(AgentMiddleware):
        @hook_config(can_jump_to=["end"])
        def before_model(self, state, runtime):
            last = max(i for i, message in enumerate(state["messages"]) if message.type == "human")
            if sum(message.type == "tool" for message in state["messages"][last:]) >= 6:
                return {"jump_to": "end", "messages": [AIMessage("Six calls are all that I have.")]}

    studio = Studio(generate, rate)
    return create_agent(model, [studio.draw, studio.rate], middleware=[Stop()])
"""

# With LangChain's own classes, a lock in place of a counter, and the picture in the message's artifact.
AGENT_TOOLS = """
def picture_agent(model, *, generate, rate):
    from threading import Lock

    from langchain_core.tools import StructuredTool

    drawn, lock = [], Lock()

    def paint(prompt: str):
        with lock:
            drawn.append(generate(prompt, seed=len(drawn)))
            number = len(drawn)
        return json.dumps({"picture_id": f"p{number}"}), drawn[number - 1]

    def judge(picture_id: str, text: str) -> str:
        ids = [f"p{i + 1}" for i in range(len(drawn))]
        if picture_id not in ids:
            return "Error: choose one of " + ", ".join(ids)
        return str(round(float(rate(text, drawn[ids.index(picture_id)])), 3))

    tools = [
        StructuredTool.from_function(
            paint, name="draw", description="Draw a picture.", response_format="content_and_artifact"
        ),
        StructuredTool.from_function(judge, name="rate", description="Rate a picture by a text."),
    ]
    return create_agent(
        model,
        tools,
        system_prompt="Check each picture.",
        middleware=[ToolCallLimitMiddleware(run_limit=6, exit_behavior="end")],
    )
"""

# Where to and what is sent, the same with every library that students know.
REQUEST = """
def txt2img(prompt, *, url, steps=20, seed=0, n=1, timeout=60):
    address = url.rstrip("/")
    if not address.endswith("/sdapi/v1/txt2img"):
        address += "/sdapi/v1/txt2img"
    body = {"prompt": prompt, "steps": steps, "seed": seed, "batch_size": n}
"""

PLAIN_DRAW = (
    REQUEST
    + """
    try:
        answer = requests.post(address, json=body, timeout=timeout)
    except requests.Timeout as error:
        raise RuntimeError(f"out of time after {timeout} s") from error
    except requests.RequestException as error:
        raise RuntimeError(f"nobody at {address}") from error
    if answer.status_code != 200:
        raise RuntimeError(f"The server refused, {answer.status_code}: {answer.text}")
    try:
        images = answer.json()["images"]
        pictures = [Image.open(io.BytesIO(base64.b64decode(each.split(",")[-1]))) for each in images]
        for picture in pictures:
            picture.load()
    except (ValueError, KeyError, TypeError, AttributeError, OSError, SyntaxError) as error:
        raise RuntimeError(f"no JSON with images that are pictures: {error}") from error
    if len(pictures) != n:
        raise RuntimeError(f"{len(pictures)} images came, not {n}")
    return pictures
"""
)

HTTPX_DRAW = (
    REQUEST
    + """
    import httpx

    try:
        answer = httpx.post(address, json=body, timeout=timeout)
    except httpx.TimeoutException as error:
        raise RuntimeError(f"{address} did not answer in time ({timeout} s).") from error
    except httpx.HTTPError as error:
        raise RuntimeError(f"Nobody answers at {address}.") from error
    if answer.is_error:
        raise RuntimeError(f"The server refused ({answer.status_code} {answer.reason_phrase}): {answer.text[:500]}")
    try:
        images = answer.json()["images"]
    except ValueError as error:
        raise RuntimeError("The server's answer is not JSON.") from error
    except (KeyError, TypeError) as error:
        raise RuntimeError("The server's answer has no images in it.") from error
    if len(images) != n:
        raise RuntimeError(f"The server sent {len(images)} images, not {n}.")

    def picture(number, text):
        try:
            data = base64.b64decode(re.sub(r"^data:[^,]*,", "", text), validate=True)
            with Image.open(io.BytesIO(data)) as image:
                return image.convert("RGB")
        except (ValueError, OSError, SyntaxError, TypeError) as error:
            raise RuntimeError(f"Image number {number} of the answer is no picture: {error}") from error

    return [picture(i, text) for i, text in enumerate(images)]
"""
)

URLLIB_DRAW = """
def txt2img(prompt, *, url, steps=20, seed=0, n=1, timeout=60):
    import urllib.error
    import urllib.request

    address = url.strip().rstrip("/")
    if not address.endswith("txt2img"):
        address += "/sdapi/v1/txt2img"
    body = json.dumps({"prompt": prompt, "seed": seed, "steps": steps, "batch_size": n, "n_iter": 1}).encode()
    request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"HTTP {error.code} from {address}: {error.read().decode(errors='replace')}") from error
    except TimeoutError as error:
        raise RuntimeError(f"{address} timed out after {timeout} s") from error
    except OSError as error:
        raise RuntimeError(f"could not reach {address}: {error}") from error
    try:
        data = json.loads(content)
    except json.JSONDecodeError as error:
        raise RuntimeError("the answer is not valid JSON") from error
    if not isinstance(data, dict) or not isinstance(data.get("images"), list):
        raise RuntimeError("the answer has no list of images in it")
    if len(data["images"]) != n:
        raise RuntimeError(f"asked for {n} pictures, got {len(data['images'])}")
    pictures = []
    for number, letters in enumerate(data["images"]):
        try:
            picture = Image.open(io.BytesIO(base64.b64decode(letters.split("base64,")[-1])))
            picture.load()
        except Exception as error:
            raise RuntimeError(f"image {number} is not a picture: {error}") from error
        pictures.append(picture)
    return pictures
"""

PLAIN_SEARCH = """
def get_text(keywords, *, texts=STORIES, chat=None):
    wanted = set(stories.words(keywords if isinstance(keywords, str) else " ".join(keywords)))
    bags = [set(stories.words(text)) & wanted for text in texts]
    counts = Counter(word for bag in bags for word in bag)
    if not counts:
        raise ValueError("none of the keywords is in any text")
    scores = [math.fsum(math.log(1 + len(texts) / counts[word]) for word in bag) for bag in bags]
    found = texts[scores.index(max(scores))]
    if chat is None:
        return found
    return chat.invoke(ASK_FOR_TEXT.format(keywords=keywords, example=found)).text.strip()
"""

PLAIN_TRY = """
def until_accepted(text, prompt, threshold, max_tries, *, generate, rate):
    if max_tries < 1:
        raise ValueError(f"max_tries is {max_tries}")
    pictures, scores = [], []
    for i in range(max_tries):
        pictures.append(generate(prompt, seed=i))
        scores.append(rate(text, pictures[i]))
        if scores[i] >= threshold:
            break
    if max(scores) < threshold:
        print(f"No picture was good enough in {max_tries} tries.")
    best = scores.index(max(scores))
    return pictures[best], scores[best], scores
"""

RIGHT = {
    "picture_agent": [AGENT.format(**AGENT_RIGHT), AGENT_CLASS, AGENT_TOOLS],
    "txt2img": [DRAW.format(**DRAW_RIGHT), PLAIN_DRAW, HTTPX_DRAW, URLLIB_DRAW],
    "get_text": [
        SEARCH.format(**SEARCH_RIGHT),
        FIND.format(
            body="""query = keywords if isinstance(keywords, str) else ",".join(keywords)
    query = set(stories.words(query))
    bags = [frozenset(stories.words(text)) for text in texts]
    idf = {word: math.log1p(len(texts) / n) for word in query if (n := sum(word in bag for bag in bags))}
    if not idf:
        raise ValueError("nothing found for these keywords")

    def score(i):
        return round(sum(value for word, value in idf.items() if word in bags[i]), 9)

    winner = texts[max(range(len(texts)), key=score)]
    if chat is not None:
        template = ChatPromptTemplate.from_template(ASK_FOR_TEXT)
        filled = template.invoke({"keywords": str(keywords), "example": winner})
        winner = chat.invoke(filled).content.strip()
    return winner"""
        ),
        """
def get_text(keywords, *, texts=STORIES, chat=None):
    from functools import reduce

    wanted = set(stories.words(keywords if isinstance(keywords, str) else " ".join(keywords)))
    having = {word: {i for i, text in enumerate(texts) if word in stories.words(text)} for word in wanted}
    having = {word: places for word, places in having.items() if places}
    if not having:
        raise ValueError(f"None of the keywords {keywords!r} is in any of the {len(texts)} texts.")
    places = sorted(reduce(set.union, having.values()))
    scores = {i: math.fsum(math.log(1 + len(texts) / len(p)) for p in having.values() if i in p) for i in places}
    found = texts[max(places, key=scores.get)]
    if chat is None:
        return found
    joined = keywords if isinstance(keywords, str) else ", ".join(keywords)
    chain = ChatPromptTemplate.from_messages([("human", ASK_FOR_TEXT)]) | chat | StrOutputParser()
    return chain.invoke({"example": found, "keywords": joined}).strip()
""",
        PLAIN_SEARCH,
    ],
    "image_prompt": [
        CLEAN.format(**CLEAN_RIGHT),
        PROMPT.format(
            body="""answer = "".join(piece.text for piece in chat.stream([("human", ASK_FOR_PROMPT.format(text=text))]))
    wrapping = " \\t\\r\\"'`*“”"
    candidates = []
    for line in answer.splitlines():
        if line.lstrip().startswith("```"):
            continue
        line = line.strip()
        first, _, rest = line.partition(" ")
        if first in ("-", "*") or (first[:-1].isdigit() and first[-1] in ".)"):
            line = rest
        line = line.strip(wrapping)
        for start in ("image prompt:", "prompt:"):
            if line.lower().startswith(start):
                line = line[len(start):]
                break
        candidates.append(line.strip(wrapping))
    candidates = [line for line in candidates if line and not line.endswith(":")]
    if candidates:
        return candidates[0]
    raise ValueError("no prompt found in: " + answer)"""
        ),
        """
LINE = re.compile(r\"""^[\\s"'`*“”]*(?:(?:\\d+[.)]|[-*])\\s+)?[\\s"'`*“”]*(?:(?:image\\s+)?prompt:)?(.*)$\""", re.IGNORECASE)


def image_prompt(chat, text):
    chain = ChatPromptTemplate.from_template(ASK_FOR_PROMPT) | chat | StrOutputParser()
    for line in chain.invoke({"text": text}).splitlines():
        if line.strip().startswith("```"):
            continue
        prompt = LINE.match(line).group(1).strip(" \\t\\"'`*“”")
        if prompt and not prompt.endswith(":"):
            return prompt
    raise ValueError("There is no prompt in the chat model's reply.")
""",
        BY_THE_HINT,
    ],
    "rate_image": [
        """
def rate_image(text, image):
    (words,), (pixels,) = clip.embed_texts([text]), clip.embed_images([image])
    return float(words @ pixels)
""",
        """
def rate_image(text, image):
    return clip.similarity([text], [image]).item()
""",
        """
def rate_image(text, image):
    model, processor = load("clip")
    inputs = processor(text=[text], images=image, padding=True, truncation=True, return_tensors="pt").to(model.device)
    with torch.no_grad():
        out = model(**inputs)
    return torch.nn.functional.cosine_similarity(out.text_embeds, out.image_embeds).item()
""",
    ],
    "rate_image_by_caption": [
        """
def rate_image_by_caption(text, image, *, caption=caption):
    a = torch.from_numpy(clip.embed_texts([text]))
    b = torch.from_numpy(clip.embed_texts([caption(image)]))
    return torch.nn.functional.cosine_similarity(a, b).item()
""",
        """
def rate_image_by_caption(text, image, *, caption=caption):
    seen = caption(image)
    vectors = clip.embed_texts([seen, text])
    return float((vectors[0] * vectors[1]).sum())
""",
        """
def rate_image_by_caption(text, image, *, caption=caption):
    import numpy as np

    one = clip.embed_texts([text])
    other = clip.embed_texts([caption(image)])
    return np.clip(np.vdot(one, other), -1, 1).item()
""",
    ],
    "best_of_n": [
        BEST.format(
            body="""if n < 1:
        raise ValueError("n must be at least 1, got %d" % n)
    best = None
    all_scores = []
    for i in range(n):
        image = generate(prompt, seed=i)
        score = rate(text, image)
        all_scores.append(score)
        if best is None or score > best[1]:
            best = (image, score)
    return (*best, all_scores)"""
        ),
        BEST.format(
            body="""if not n >= 1:
        raise ValueError(f"n={n}")
    drawn = [(rate(text, image), -i, image) for i in range(n) for image in [generate(prompt, seed=i)]]
    score, _, image = max(drawn, key=lambda each: each[:2])
    return image, score, [each[0] for each in drawn]"""
        ),
        """
def best_of_n(text, prompt, n, *, generate, rate):
    if n < 1:
        raise ValueError(f"best_of_n needs n of at least 1, not {n}.")
    pictures = [generate(prompt, seed=i) for i in range(n)]
    scores = [rate(text, picture) for picture in pictures]
    where = max(range(n), key=scores.__getitem__)
    return pictures[where], scores[where], scores
""",
    ],
    "until_accepted": [
        TRY.format(**TRY_RIGHT),
        UNTIL.format(
            body="""import warnings
    if max_tries <= 0:
        raise ValueError("max_tries must be positive, not " + str(max_tries))
    results = []
    while len(results) < max_tries and not (results and results[-1][1] >= threshold):
        picture = generate(prompt, seed=len(results))
        results.append((picture, rate(text, picture)))
    picture, score = max(results, key=lambda result: result[1])
    if score < threshold:
        warnings.warn(f"gave up after {max_tries} tries at {score}, below {threshold}")
    return picture, score, [each for _, each in results]"""
        ),
        """
def until_accepted(text, prompt, threshold, max_tries, *, generate, rate):
    if max_tries < 1:
        raise ValueError(f"max_tries should be 1 or more, but it is {max_tries}.")
    pictures, scores = [], []
    for seed in range(max_tries):
        pictures.append(generate(prompt, seed=seed))
        scores.append(rate(text, pictures[-1]))
        print(f"seed {seed}: {scores[-1]:.2f}")
        if scores[-1] >= threshold:
            return pictures[-1], scores[-1], scores
    print(f"None of the {max_tries} pictures reached {threshold}. This is the best of them.")
    best = scores.index(max(scores))
    return pictures[best], scores[best], scores
""",
        PLAIN_TRY,
    ],
    "run_pipeline": [
        STAGES.format(**STAGES_RIGHT),
        PIPELINE.format(
            body="""stages = dict(keywords=keywords)
    stages["text"] = story = get_text(keywords)
    stages["prompt"] = prompt = image_prompt(chat or chat_model("text"), story)
    chosen, score, everything = best_of_n(text=prompt, prompt=prompt, n=n, generate=generate, rate=rate)
    stages.update(image=chosen, score=score, scores=everything, second_score=second(prompt, chosen), n=n)
    show_record(stages)
    return stages"""
        ),
        """
def run_pipeline(keywords, *, n=5, chat=None, generate=draw_one, rate=rate_image, second=rate_image_by_caption):
    text = get_text(keywords, chat=None)
    prompt = image_prompt(chat_model("text") if chat is None else chat, text)
    names = ("image", "score", "scores")
    record = {"keywords": keywords, "text": text, "prompt": prompt}
    record |= zip(names, best_of_n(prompt, prompt, n, generate=generate, rate=rate))
    record |= {"second_score": second(record["prompt"], record["image"])}
    show_record(record)
    return record
""",
    ],
}

WRONG = {
    "picture_agent": [
        (
            "the seventh call is refused, and the model goes on for ever",
            AGENT.format(**{**AGENT_RIGHT, "limit": "[ToolCallLimitMiddleware(run_limit=6)]"}),
        ),
        (
            "an error at the seventh call",
            AGENT.format(**{**AGENT_RIGHT, "limit": '[ToolCallLimitMiddleware(run_limit=6, exit_behavior="error")]'}),
        ),
        ("a KeyError for an unknown id", AGENT.format(**{**AGENT_RIGHT, "check": "pass"})),
        (
            "pictures of all agents in one place",
            "numbers, pictures = count(1), {}\n"
            + AGENT.format(**AGENT_RIGHT).replace("    numbers = count(1)\n    pictures = {}\n", ""),
        ),
        (
            "the number is read while another picture is drawn",
            AGENT.format(
                **{
                    **AGENT_RIGHT,
                    "draw": """number = len(pictures) + 1
        pictures[f"p{number}"] = generate(prompt, seed=number - 1)
        return {"picture_id": f"p{number}"}""",
                }
            ),
        ),
        ("no limit", AGENT.format(**{**AGENT_RIGHT, "limit": "[]"})),
        (
            "five calls in place of six",
            AGENT.format(**{**AGENT_RIGHT, "limit": '[ToolCallLimitMiddleware(run_limit=5, exit_behavior="end")]'}),
        ),
        (
            "six calls of each tool",
            AGENT.format(
                **{
                    **AGENT_RIGHT,
                    "limit": """[
        ToolCallLimitMiddleware(tool_name=name, run_limit=6, exit_behavior="end") for name in ("draw", "rate")
    ]""",
                }
            ),
        ),
        (
            "the same seed each time",
            AGENT.format(**{**AGENT_RIGHT, "draw": AGENT_RIGHT["draw"].replace("seed=number - 1", "seed=0")}),
        ),
        (
            "seeds from 1",
            AGENT.format(**{**AGENT_RIGHT, "draw": AGENT_RIGHT["draw"].replace("number - 1", "number")}),
        ),
        (
            "the model gets the picture",
            AGENT.format(
                **{
                    **AGENT_RIGHT,
                    "draw": """number = next(numbers)
        pictures[f"p{number}"] = generate(prompt, seed=number - 1)
        return pictures[f"p{number}"]""",
                }
            ),
        ),
        (
            "the tool's name hides the judge, and the tool calls itself",
            AGENT.format(**{**AGENT_RIGHT, "name": "", "tools": "[draw, rate]"}).replace(
                "def rate_picture", "def rate"
            ),
        ),
        (
            "the judge gets the id",
            AGENT.format(**{**AGENT_RIGHT, "rate": 'return {"score": rate(text, picture_id)}'}),
        ),
        (
            "always the last picture is rated",
            AGENT.format(
                **{**AGENT_RIGHT, "rate": 'return {"score": round(rate(text, pictures[list(pictures)[-1]]), 2)}'}
            ),
        ),
        (
            "rated by the prompt",
            AGENT.format(
                **{
                    **AGENT_RIGHT,
                    "draw": """number = next(numbers)
        pictures[f"p{number}"] = generate(prompt, seed=number - 1)
        prompts[f"p{number}"] = prompt
        return {"picture_id": f"p{number}"}""",
                    "rate": 'return {"score": round(rate(prompts[picture_id], pictures[picture_id]), 2)}',
                }
            ).replace("pictures = {}", "pictures, prompts = {}, {}"),
        ),
        (
            "the score stays with the tool",
            AGENT.format(**{**AGENT_RIGHT, "rate": 'rate(text, pictures[picture_id]); return "rated"'}),
        ),
        ("tools of other names", AGENT.format(**{**AGENT_RIGHT, "name": '"rate_picture"'})),
        (
            "a parameter of another name",
            AGENT.format(**{**AGENT_RIGHT, "drawn": "description"}).replace("generate(prompt", "generate(description"),
        ),
        ("no tool to rate with", AGENT.format(**{**AGENT_RIGHT, "tools": "[draw]"})),
        (
            "a function in place of an agent",
            AGENT.format(**AGENT_RIGHT).replace("return create_agent", "agent = create_agent")
            + "    return lambda request: agent.invoke({'messages': [('user', request)]})\n",
        ),
    ],
    "txt2img": [
        (
            "posts to the bare address, and takes what comes for an answer",
            """
def txt2img(prompt, *, url, steps=20, seed=0, n=1, timeout=60):
    body = {"prompt": prompt, "steps": steps, "seed": seed, "batch_size": n}
    answer = requests.post(url, json=body, timeout=timeout).json()
    return [Image.open(io.BytesIO(base64.b64decode(image))) for image in answer["images"]]
""",
        ),
        ("no look at the status", DRAW.format(**{**DRAW_RIGHT, "refused": "False"})),
        ("only 404 and 500 are failures", DRAW.format(**{**DRAW_RIGHT, "refused": "answer.status_code in (404, 500)"})),
        (
            "raise_for_status, whose error is the library's own and without the server's words",
            DRAW.format(**{**DRAW_RIGHT, "refused": "answer.raise_for_status()"}),
        ),
        ("the timeout is not handed on", DRAW.format(**{**DRAW_RIGHT, "timeout": "60"})),
        (
            "not JSON comes out as the parser's own error",
            PLAIN_DRAW.replace(
                '    try:\n        images = answer.json()["images"]\n',
                '    images = answer.json()["images"]\n    try:\n',
            ),
        ),
        (
            "not JSON is taken for nobody there",
            DRAW.format(**{**DRAW_RIGHT, "unreachable": "requests.RequestException"}),
        ),
        ("the dict is sent as a form", PLAIN_DRAW.replace("json=body", "data=body")),
        (
            "JSON whose header does not say so",
            URLLIB_DRAW.replace(', headers={"Content-Type": "application/json"}', ""),
        ),
        ("the seed is forgotten", DRAW.format(**{**DRAW_RIGHT, "body": "dict(prompt=prompt, steps=steps, n_iter=n)"})),
        (
            "the steps are forgotten",
            DRAW.format(**{**DRAW_RIGHT, "body": "dict(prompt=prompt, seed=seed, batch_size=n)"}),
        ),
        (
            "a field called n, which no web UI knows",
            DRAW.format(**{**DRAW_RIGHT, "body": "dict(prompt=prompt, steps=steps, seed=seed, n=n)"}),
        ),
        ("no word when too few pictures come", DRAW.format(**{**DRAW_RIGHT, "end": "return pictures"})),
        (
            "a slash too many in the address",
            HTTPX_DRAW.replace('url.rstrip("/")', "url"),  # older versions of requests take it away
        ),
        (
            "the picture's head is read and its pixels never looked at",
            DRAW.format(
                **{**DRAW_RIGHT, "picture": 'Image.open(io.BytesIO(base64.b64decode(letters.rpartition(",")[2])))'}
            ),
        ),
        (
            "data:image/png;base64, is decoded, too",
            DRAW.format(
                **{**DRAW_RIGHT, "picture": 'Image.open(io.BytesIO(base64.b64decode(letters))).convert("RGB")'}
            ),
        ),
        (
            "one request a picture, all with the same seed",
            """
def txt2img(prompt, *, url, steps=20, seed=0, n=1, timeout=60):
    address = url.rstrip("/").removesuffix("/sdapi/v1/txt2img") + "/sdapi/v1/txt2img"
    images = []
    for _ in range(n):
        try:
            answer = requests.post(address, json={"prompt": prompt, "steps": steps, "seed": seed}, timeout=timeout)
            assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
            letters = answer.json()["images"][0].split(",")[-1]
            images.append(Image.open(io.BytesIO(base64.b64decode(letters))).convert("RGB"))
        except Exception as error:
            raise RuntimeError(f"{address}, timeout {timeout}, no JSON or image: {error}")
    return images
""",
        ),
        (
            "an empty list in place of an error",
            """
def txt2img(prompt, *, url, steps=20, seed=0, n=1, timeout=60):
    try:
        address = url.rstrip("/").removesuffix("/sdapi/v1/txt2img") + "/sdapi/v1/txt2img"
        body = {"prompt": prompt, "steps": steps, "seed": seed, "batch_size": n}
        found = requests.post(address, json=body, timeout=timeout).json()["images"]
        return [Image.open(io.BytesIO(base64.b64decode(each.split(",")[-1]))).convert("RGB") for each in found]
    except Exception as error:
        print("Something went wrong:", error)
        return []
""",
        ),
        (
            "one sentence for all that can go wrong",
            PLAIN_DRAW.replace('f"out of time after {timeout} s"', "ALL")
            .replace('f"nobody at {address}"', "ALL")
            .replace('f"no JSON with images that are pictures: {error}"', "ALL")
            .replace(
                "    body =",
                '    ALL = f"{address}: timed out, or nobody there, or no JSON, or no image in it."\n    body =',
            ),
        ),
        ("gives up after half a second, whatever timeout says", PLAIN_DRAW.replace("timeout=timeout)", "timeout=0.5)")),
        (
            "the buffer is not rewound",
            PLAIN_DRAW.replace(
                'Image.open(io.BytesIO(base64.b64decode(each.split(",")[-1])))', 'opened(each.split(",")[-1])'
            )
            + """

def opened(letters):
    buffer = io.BytesIO()
    buffer.write(base64.b64decode(letters))
    return Image.open(io.BytesIO(buffer.read()))
""",
        ),
        (
            "always an error, with all words that could be wanted",
            """
def txt2img(prompt, *, url, steps=20, seed=0, n=1, timeout=60):
    raise RuntimeError(f"404 422 500: no JSON, no image, {n} wanted; out of time, or nobody at {url}")
""",
        ),
        (
            "more pictures than asked for are cut off",
            PLAIN_DRAW.replace("    if len(pictures) != n:", "    pictures = pictures[:n]\n    if len(pictures) != n:"),
        ),
        (
            "where too few or too many pictures come, the server's name is told, and no number",
            PLAIN_DRAW.replace(
                'f"{len(pictures)} images came, not {n}"',
                """f"wrong number of images from {address.partition('//')[2]}\"""",
            ),
        ),
    ],
    "get_text": [
        ("every word counts the same", SEARCH.format(**{**SEARCH_RIGHT, "weight": "1"})),
        (
            "a word counts as often as it stands in the text",
            SEARCH.format(**{**SEARCH_RIGHT, "weight": "stories.words(text).count(word)"}),
        ),
        ("parts of words count, too", SEARCH.format(**{**SEARCH_RIGHT, "has": "word in text.lower()"})),
        ("words as they are typed", SEARCH.format(**{**SEARCH_RIGHT, "wanted": "set(keywords.split())"})),
        ("the last of equals wins", SEARCH.format(**{**SEARCH_RIGHT, "better": ">="})),
        (
            "common words count more",
            SEARCH.format(
                **{**SEARCH_RIGHT, "weight": "math.log(1 + sum(word in stories.words(each) for each in texts))"}
            ),
        ),
        ("the first text where nothing is found", SEARCH.format(**{**SEARCH_RIGHT, "none": "best = best or texts[0]"})),
        ("the chat model is never asked", SEARCH.format(**{**SEARCH_RIGHT, "write": "return best"})),
        (
            "the chat model does not see what was found",
            SEARCH.format(
                **{
                    **SEARCH_RIGHT,
                    "write": 'return chat.invoke(f"Write a short text with these keywords: {keywords}.").text.strip()',
                }
            ),
        ),
        (
            "the message in place of its text",
            SEARCH.format(
                **{
                    **SEARCH_RIGHT,
                    "write": "return chat.invoke(ASK_FOR_TEXT.format(keywords=keywords, example=best))",
                }
            ),
        ),
        (
            "the collection of the course, whatever is given",
            SEARCH.format(**SEARCH_RIGHT).replace("for text in texts:", "for text in STORIES:"),
        ),
        (
            "the template is filled first, and then its braces are read",
            SEARCH.format(
                **{
                    **SEARCH_RIGHT,
                    "write": """request = ASK_FOR_TEXT.format(keywords=keywords, example=best)
    return (ChatPromptTemplate.from_template(request) | chat | StrOutputParser()).invoke({}).strip()""",
                }
            ),
        ),
        ("the first text, whatever the keywords", FIND.format(body="return texts[0]")),
        (
            "only the rarest keyword counts",
            PLAIN_SEARCH.replace(
                "[math.fsum(math.log(1 + len(texts) / counts[word]) for word in bag) for bag in bags]",
                "[max([0, *(math.log(1 + len(texts) / counts[word]) for word in bag)]) for bag in bags]",
            ),
        ),
        ("log without the one", PLAIN_SEARCH.replace("math.log(1 + len", "math.log(len")),
        ("the text is trimmed", PLAIN_SEARCH.replace("max(scores))]", "max(scores))].strip()")),
        (
            "the smoothed formula of a library",
            PLAIN_SEARCH.replace(
                "math.log(1 + len(texts) / counts[word])", "math.log((1 + len(texts)) / (1 + counts[word])) + 1"
            ),
        ),
    ],
    "image_prompt": [
        ("the reply as it is", PROMPT.format(body="return chat.invoke(ASK_FOR_PROMPT.format(text=text)).text.strip()")),
        (
            "the first line, whatever it is",
            CLEAN.format(**{**CLEAN_RIGHT, "good": "True"}),
        ),
        (
            "the last line",
            PROMPT.format(body="return chat.invoke(ASK_FOR_PROMPT.format(text=text)).text.split('\\n')[-1]"),
        ),
        ("every number at the start is taken for a list's", CLEAN.format(**{**CLEAN_RIGHT, "mark": r"^[\d\W]+"})),
        ("quotes stay", CLEAN.format(**{**CLEAN_RIGHT, "around": ""})),
        ("curly quotes stay, as in an old hint", CLEAN.format(**{**CLEAN_RIGHT, "around": '" \\"\'`*"'})),
        (
            "quotes are taken away before the list's mark, and never again",
            """
def image_prompt(chat, text):
    reply = chat.invoke(ASK_FOR_PROMPT.format(text=text)).text
    for line in reply.splitlines():
        line = line.strip(" \\"'`*“”")
        line = re.sub(r"^(\\d+[.)]|[-*])\\s+", "", line)
        line = re.sub(r"^(image )?prompt:", "", line, flags=re.IGNORECASE).strip()
        if line and not line.endswith(":"):
            return line
    raise ValueError("no prompt in the reply")
""",
        ),
        (
            "the text itself, and nobody is asked",
            PROMPT.format(body='return text.split(" wanted")[0]'),
        ),
        ("fences are not known", CLEAN.format(**{**CLEAN_RIGHT, "fence": '"~~~"', "around": '" \\"\'*“”"'})),
        ("an empty prompt in place of an error", CLEAN.format(**{**CLEAN_RIGHT, "end": 'return ""'})),
        (
            "the text is cut to what CLIP reads",
            CLEAN.format(**{**CLEAN_RIGHT, "reply": "chat.invoke(ASK_FOR_PROMPT.format(text=text[:60])).text"}),
        ),
        (
            "the text becomes part of the template",
            CLEAN.format(
                **{
                    **CLEAN_RIGHT,
                    "reply": "(ChatPromptTemplate.from_template(ASK_FOR_PROMPT.replace('{text}', text)) | chat).invoke({}).text",
                }
            ),
        ),
        (
            "the words of the request are lost",
            CLEAN.format(**{**CLEAN_RIGHT, "reply": "chat.invoke(text).text"}),
        ),
        (
            "the longest line",
            """
def image_prompt(chat, text):
    reply = chat.invoke(ASK_FOR_PROMPT.format(text=text)).text
    found = []
    for line in reply.splitlines():
        line = line.strip()
        if line.startswith("```"):
            continue
        line = re.sub(r"^(\\d+[.)]|[-*])\\s+", "", line).strip(" \\"'`*“”")
        line = re.sub(r"^(image )?prompt:", "", line, flags=re.IGNORECASE).strip(" \\"'`*“”")
        if line and not line.endswith(":"):
            found.append(line)
    if not found:
        raise ValueError("no prompt in the reply")
    return max(found, key=len)
""",
        ),
        (
            "quotes inside are taken away, too",
            """
def image_prompt(chat, text):
    reply = chat.invoke(ASK_FOR_PROMPT.format(text=text)).text
    found = []
    for line in reply.splitlines():
        line = line.strip()
        if line.startswith("```"):
            continue
        line = re.sub(r"^(\\d+[.)]|[-*])\\s+", "", line).strip(" \\"'`*“”")
        line = re.sub(r"^(image )?prompt:", "", line, flags=re.IGNORECASE).strip(" \\"'`*“”")
        if line and not line.endswith(":"):
            found.append(line.replace('"', ''))
    if not found:
        raise ValueError("no prompt in the reply")
    return found[0]
""",
        ),
    ],
    "rate_image": [
        ("an array", "\ndef rate_image(text, image):\n    return clip.similarity([text], [image])\n"),
        (
            "numpy's own number",
            "\ndef rate_image(text, image):\n    return clip.similarity([text], [image])[0, 0]\n",
        ),
        (
            "a distance",
            "\ndef rate_image(text, image):\n    return 1 - float(clip.similarity([text], [image])[0, 0])\n",
        ),
        ("always the same", "\ndef rate_image(text, image):\n    return 0.7\n"),
        (
            "the text is compared with itself",
            """
def rate_image(text, image):
    one, other = clip.embed_texts([text, text])
    return float(one @ other)
""",
        ),
        (
            "stumbles over texts longer than CLIP reads",
            """
def rate_image(text, image):
    model, processor = load("clip")
    inputs = processor(text=[text], images=image, return_tensors="pt").to(model.device)
    with torch.no_grad():
        out = model(**inputs)
    return torch.nn.functional.cosine_similarity(out.text_embeds, out.image_embeds).item()
""",
        ),
        (
            "percent",
            "\ndef rate_image(text, image):\n    return 100 * float(clip.similarity([text], [image])[0, 0])\n",
        ),
        (
            "letters in place of a list of texts",
            "\ndef rate_image(text, image):\n    return float(clip.similarity(list(text), [image])[0, 0])\n",
        ),
    ],
    "rate_image_by_caption": [
        (
            "the text against the picture",
            """
def rate_image_by_caption(text, image, *, caption=caption):
    caption(image)
    return float(clip.similarity([text], [image])[0, 0])
""",
        ),
        (
            "the caption against the picture",
            """
def rate_image_by_caption(text, image, *, caption=caption):
    return float(clip.similarity([caption(image)], [image])[0, 0])
""",
        ),
        (
            "captioned once to see it, once to rate it",
            """
def rate_image_by_caption(text, image, *, caption=caption):
    print(caption(image))
    one, other = clip.embed_texts([text, caption(image)])
    return float(one @ other)
""",
        ),
        (
            "numpy's own number",
            """
def rate_image_by_caption(text, image, *, caption=caption):
    one, other = clip.embed_texts([text, caption(image)])
    return one @ other
""",
        ),
        (
            "always the same",
            """
def rate_image_by_caption(text, image, *, caption=caption):
    caption(image)
    return 1.0
""",
        ),
        (
            "the share of equal words",
            """
def rate_image_by_caption(text, image, *, caption=caption):
    one, other = set(text.split()), set(caption(image).split())
    return len(one & other) / len(one | other)
""",
        ),
        (
            "the notebook's captioner, whichever is given",
            """
def rate_image_by_caption(text, image, **ignored):
    one, other = clip.embed_texts([text, captions([image])[0]])
    return float(one @ other)
""",
        ),
        (
            "a distance",
            """
def rate_image_by_caption(text, image, *, caption=caption):
    one, other = clip.embed_texts([text, caption(image)])
    return float(((one - other) ** 2).sum())
""",
        ),
    ],
    "best_of_n": [
        (
            "scores below 0 never win",
            BEST.format(
                body="""if n < 1:
        raise ValueError("n should be 1 or more")
    best, best_score, scores = None, 0, []
    for i in range(n):
        image = generate(prompt, seed=i)
        scores.append(rate(text, image))
        if scores[-1] > best_score:
            best, best_score = image, scores[-1]
    return best, best_score, scores"""
            ),
        ),
        (
            "the last of equals wins",
            BEST.format(
                body="""if n < 1:
        raise ValueError("n should be 1 or more")
    images = [generate(prompt, seed=i) for i in range(n)]
    scores = [rate(text, image) for image in images]
    best = max(range(n), key=lambda i: (scores[i], i))
    return images[best], scores[best], scores"""
            ),
        ),
        (
            "the same seed each time",
            BEST.format(
                body="""if n < 1:
        raise ValueError("n should be 1 or more")
    images = [generate(prompt, seed=0) for _ in range(n)]
    scores = [rate(text, image) for image in images]
    best = scores.index(max(scores))
    return images[best], scores[best], scores"""
            ),
        ),
        (
            "seeds from 1",
            BEST.format(
                body="""if n < 1:
        raise ValueError("n should be 1 or more")
    images = [generate(prompt, seed=i) for i in range(1, n + 1)]
    scores = [rate(text, image) for image in images]
    best = scores.index(max(scores))
    return images[best], scores[best], scores"""
            ),
        ),
        (
            "rated by the prompt",
            BEST.format(
                body="""if n < 1:
        raise ValueError("n should be 1 or more")
    images = [generate(prompt, seed=i) for i in range(n)]
    scores = [rate(prompt, image) for image in images]
    best = scores.index(max(scores))
    return images[best], scores[best], scores"""
            ),
        ),
        (
            "max of nothing raises by itself, with words that help nobody",
            BEST.format(
                body="""images = [generate(prompt, seed=i) for i in range(n)]
    scores = [rate(text, image) for image in images]
    best = scores.index(max(scores))
    return images[best], scores[best], scores"""
            ),
        ),
        (
            "no look at n: no pictures, no score",
            BEST.format(
                body="""images = [generate(prompt, seed=i) for i in range(n)]
    scores = [rate(text, image) for image in images]
    best = scores.index(max(scores)) if scores else None
    return (None, None, []) if best is None else (images[best], scores[best], scores)"""
            ),
        ),
        (
            "always the first picture",
            BEST.format(
                body="""image = generate(prompt, seed=0)
    return image, rate(text, image), [rate(text, image)]"""
            ),
        ),
        (
            "the scores sorted",
            BEST.format(
                body="""if n < 1:
        raise ValueError("n should be 1 or more")
    images = [generate(prompt, seed=i) for i in range(n)]
    scores = [rate(text, image) for image in images]
    best = scores.index(max(scores))
    return images[best], scores[best], sorted(scores, reverse=True)"""
            ),
        ),
        (
            "the best is drawn and rated once more",
            BEST.format(
                body="""if n < 1:
        raise ValueError("n should be 1 or more")
    scores = [rate(text, generate(prompt, seed=i)) for i in range(n)]
    best = scores.index(max(scores))
    image = generate(prompt, seed=best)
    return image, rate(text, image), scores"""
            ),
        ),
    ],
    "until_accepted": [
        ("more than the threshold is wanted", TRY.format(**{**TRY_RIGHT, "enough": ">"})),
        ("all are drawn before one is looked at", TRY.format(**{**TRY_RIGHT, "enough": "> 10 +"})),
        (
            "says that it gives up, but not after how many tries",
            TRY.format(**{**TRY_RIGHT, "end": 'print("Sorry, no luck.")\n    return best, score, scores'}),
        ),
        (
            "a ValueError that does not name max_tries",
            PLAIN_TRY.replace('f"max_tries is {max_tries}"', '"bad value"'),
        ),
        (
            "nobody is told",
            TRY.format(**{**TRY_RIGHT, "end": "return best, score, scores"}),
        ),
        (
            "an error when the tries run out",
            TRY.format(**{**TRY_RIGHT, "end": 'raise RuntimeError(f"no luck in {max_tries} tries")'}),
        ),
        (
            "the last picture in place of the best",
            TRY.format(
                **{
                    **TRY_RIGHT,
                    "end": 'print(max_tries, "tries were not enough")\n    return picture, scores[-1], scores',
                }
            ),
        ),
        ("one try too many", TRY.format(**{**TRY_RIGHT, "tries": "max_tries + 1"})),
        ("the same seed each time", TRY.format(**{**TRY_RIGHT, "seed": "0"})),
        ("no tries are no error", TRY.format(**{**TRY_RIGHT, "few": "False"})),
        ("only the accepted score comes back", TRY.format(**{**TRY_RIGHT, "accepted": "best, score, [score]"})),
        ("rated by the prompt", TRY.format(**{**TRY_RIGHT, "rated": "prompt"})),
        (
            "says that the tries ran out, also when they didn't",
            PLAIN_TRY.replace("if max(scores) < threshold:", "if True:"),
        ),
        (
            "says so also when the last try was good",
            PLAIN_TRY.replace("if max(scores) < threshold:", "if len(scores) == max_tries:"),
        ),
        (
            "says so when nothing is above, not at",
            PLAIN_TRY.replace("max(scores) < threshold", "max(scores) <= threshold"),
        ),
    ],
    "run_pipeline": [
        ("rated by the story", STAGES.format(**{**STAGES_RIGHT, "rated": 'record["text"]'})),
        ("the prompt is made of the keywords", STAGES.format(**{**STAGES_RIGHT, "asked": '" ".join(keywords)'})),
        ("nothing is shown", STAGES.format(**{**STAGES_RIGHT, "shown": "pass"})),
        ("shown twice", STAGES.format(**{**STAGES_RIGHT, "shown": "show_record(record); show_record(record)"})),
        ("always five pictures", STAGES.format(**{**STAGES_RIGHT, "n": "5"})),
        ("its own judge in place of the one given", STAGES.format(**{**STAGES_RIGHT, "judge": "rate_image"})),
        ("the second judge reads the story", STAGES.format(**{**STAGES_RIGHT, "seconded": 'record["text"]'})),
        (
            "nothing is drawn",
            PIPELINE.format(
                body="""text = get_text(keywords)
    return {"keywords": keywords, "text": text, "prompt": text, "image": None, "score": 1.0, "scores": [1.0] * n}"""
            ),
        ),
        ("no record is returned", STAGES.format(**{**STAGES_RIGHT, "returned": "None"})),
        ("only the picture is returned", STAGES.format(**{**STAGES_RIGHT, "returned": 'record["image"]'})),
        ("the story is written by the chat model, too", STAGES.format(**{**STAGES_RIGHT, "retrieval": ", chat=chat"})),
        (
            "no chat model of its own",
            """
def run_pipeline(keywords, *, n=5, chat=None, generate=draw_one, rate=rate_image, second=rate_image_by_caption):
    text = get_text(keywords)
    prompt = image_prompt(chat, text)
    image, score, scores = best_of_n(prompt, prompt, n, generate=generate, rate=rate)
    record = {"keywords": keywords, "text": text, "prompt": prompt, "image": image, "score": score, "scores": scores}
    record["second_score"] = second(prompt, image)
    show_record(record)
    return record
""",
        ),
        (
            "only the first keyword",
            """
def run_pipeline(keywords, *, n=5, chat=None, generate=draw_one, rate=rate_image, second=rate_image_by_caption):
    text = get_text(keywords[:1])
    prompt = image_prompt(chat or chat_model("text"), text)
    image, score, scores = best_of_n(prompt, prompt, n, generate=generate, rate=rate)
    record = {"keywords": keywords, "text": text, "prompt": prompt, "image": image, "score": score, "scores": scores}
    record["second_score"] = second(prompt, image)
    show_record(record)
    return record
""",
        ),
        (
            "the record says sorted keywords",
            """
def run_pipeline(keywords, *, n=5, chat=None, generate=draw_one, rate=rate_image, second=rate_image_by_caption):
    keywords = sorted(keywords)
    text = get_text(keywords)
    prompt = image_prompt(chat or chat_model("text"), text)
    image, score, scores = best_of_n(prompt, prompt, n, generate=generate, rate=rate)
    record = {"keywords": keywords, "text": text, "prompt": prompt, "image": image, "score": score, "scores": scores}
    record["second_score"] = second(prompt, image)
    show_record(record)
    return record
""",
        ),
    ],
}

PARTIAL = {
    "picture_agent": (
        "the seventh call is refused, and the model goes on for ever",
        "an error at the seventh call",
        "a KeyError for an unknown id",
        "the number is read while another picture is drawn",
    ),
    "txt2img": (
        "the timeout is not handed on",
        "gives up after half a second, whatever timeout says",
        "not JSON comes out as the parser's own error",
        "not JSON is taken for nobody there",
        "where too few or too many pictures come, the server's name is told, and no number",
        "no word when too few pictures come",
        "more pictures than asked for are cut off",
        "a slash too many in the address",
        "the picture's head is read and its pixels never looked at",
        "data:image/png;base64, is decoded, too",
        "one sentence for all that can go wrong",
    ),
    "get_text": (
        "the template is filled first, and then its braces are read",
        "parts of words count, too",
        "words as they are typed",
        "the last of equals wins",
        "the first text where nothing is found",
        "the text is trimmed",
    ),
    "image_prompt": (
        "curly quotes stay, as in an old hint",
        "quotes are taken away before the list's mark, and never again",
        "every number at the start is taken for a list's",
        "fences are not known",
        "an empty prompt in place of an error",
        "the text becomes part of the template",
        "quotes inside are taken away, too",
    ),
    "rate_image": ("an array", "numpy's own number", "stumbles over texts longer than CLIP reads"),
    "rate_image_by_caption": ("captioned once to see it, once to rate it", "numpy's own number"),
    "best_of_n": (
        "max of nothing raises by itself, with words that help nobody",
        "no look at n: no pictures, no score",
        "scores below 0 never win",
        "the last of equals wins",
        "the best is drawn and rated once more",
    ),
    "until_accepted": (
        "more than the threshold is wanted",
        "says that it gives up, but not after how many tries",
        "nobody is told",
        "a ValueError that does not name max_tries",
        "no tries are no error",
        "says that the tries ran out, also when they didn't",
        "says so also when the last try was good",
        "says so when nothing is above, not at",
    ),
    "run_pipeline": (
        "nothing is shown",
        "shown twice",
        "no chat model of its own",
        "the record says sorted keywords",
    ),
}
"""Faults that miss an edge alone: what the exercise is about is right, so they keep at least half of the points."""
