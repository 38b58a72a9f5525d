"""Answers to the exercises of notebook 07: right ones, written differently, and mistakes that students make.

Each is the whole text of an exercise's cell. It runs after the notebook's set-up cells; another exercise's function
that it calls is there as in the solution. PARTIAL names the faults that miss an edge alone.
"""

ASK = """
def ask_about_image(image_path, question="Describe the image"):
    {body}
"""

LISTED = """
def prompts_in(reply):
    {body}
"""

# Asks until there are enough; a mistake is made in one of its parts.
REWRITE = """
def llm_rewrite_to_image_prompts(user_query, n=4):
    {guard}
    asked = {asked}
    good = []
    for attempt in range({tries}):
        model = chat_model("text", temperature={temperature})
        reply = model.invoke(asked[attempt % len(asked)].format(n=n, query=user_query)).text
        {sift}
        if len(good) >= n:
            return {result}
    {end}
"""
REWRITE_RIGHT = {
    "guard": 'if n < 1: raise ValueError("n must be at least 1")',
    "asked": '["Write {n} distinct prompts for an image generator about: {query}", "Create {n} image prompts about {query}"]',
    "tries": "6",
    "temperature": "0.3 * attempt",
    "sift": "good = distinct(good + [p for p in prompts_in(reply) if on_subject(p, user_query)])",
    "result": "good[:n]",
    "end": 'raise ValueError(f"only {len(good)} of {n} prompts")',
}

DRAW = """
def generate_images(prompt, n=1, *, seed=0):
    prompts = {prompts}
    pipe = {pipe}
    {draw}
    for i, (image, text) in enumerate(zip(images, prompts)):
        {provenance}
    return images
"""
DRAW_RIGHT = {
    "pipe": 'few_step(load("diffusion"))',
    "prompts": "[text for text in ([prompt] if isinstance(prompt, str) else prompt) for i in range(n)]",
    "draw": """generators = [torch.Generator().manual_seed(seed + i) for i in range(len(prompts))]
    images = pipe(prompts, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators).images""",
    "provenance": """attach(image, make_provenance(image, pipe, prompt=text, seed=seed + i, steps=STEPS, guidance_scale=GUIDANCE))""",
}

PLOT = """
def plot_imgs(images, r=2, c=2, original_image_name="image.png", output_dir="generated_images"):
    {guard}
    folder, stem = {folder}
    paths, number = [], {number}
    for image in images:
        {free}
        {save}
        paths.append(str(path))
        number += 1
    {show}
    return paths
"""
PLOT_RIGHT = {
    "guard": 'if len(images) > r * c: raise ValueError("the grid is too small")',
    "folder": "Path(output_dir), Path(original_image_name).stem",
    "number": "1",
    "free": """while (folder / f"{stem}_{number}.png").exists():
            number += 1""",
    "save": 'path = save_with_provenance(image, folder / f"{stem}_{number}.png")',
    "show": 'show.gallery(images, [Path(path).name for path in paths], alt=[f"made from {stem}"] * len(images))',
}

WHOLE = """
def generate_images_from_image(image_url, num_images=4):
    {body}
"""

SEND = """
def send_metadata(results, *, sources=None):
    {body}
"""

POST = """
def post_submission(metadata_file, url, *, student="", timeout=600):
    {body}
"""

# A submission without any model: its records are made up.
MADE_UP = """
told = [
    "The picture shows two small orange cats on a large blue sofa, in a room.",
    "The picture shows a large white astronaut, on mars.",
    "The picture shows a large red car, on a road at sunset.",
    "The picture shows a small red frog on a large green tree, on a meadow.",
]
places = ["in the snow", "at night", "by the sea", "in the desert"]
records = []
for number, (path, description) in enumerate(zip(originals, told)):
    thing = description.removeprefix("The picture shows ").split(",")[0]
    prompts = {prompts}
    paths = []
    for i, prompt in enumerate(prompts):
        image = {image}
        paths.append(Path(FOLDER) / f"{{path.stem}}_made_up_{{i}}.png")
        image.save(paths[-1])
    records.append(make_record({description}, prompts, paths, source_image=path))
write_metadata(records{some}, FOLDER)
"""
MADE_UP_PARTS = {
    "prompts": '[f"{thing}, {place}" for place in places]',
    "image": "Image.effect_noise((64, 64), 20 + 10 * i + number).convert('RGB')",
    "description": "description",
    "some": "",
}

PLAIN_POST = """
def post_submission(metadata_file, url, *, student="", timeout=600):
    address = f"{url}/run_assessment"
    try:
        answer = requests.post(address, json=pack(read_metadata(metadata_file), student=student), timeout=timeout)
    except requests.RequestException as error:
        raise RuntimeError(f"nobody answers at {address}: {error}") from error
    if answer.status_code >= 400:
        raise RuntimeError(f"{address} refuses: {answer.text}")
    try:
        return answer.json()
    except ValueError:
        raise RuntimeError(f"{address} gives no JSON: {answer.text}") from None
"""

RIGHT = {
    "ask_about_image": [
        """
def ask_about_image(image_path, question="Describe the image"):
    from helpers.pictures import data_url

    content = [
        {"type": "image_url", "image_url": {"url": data_url(open_picture(image_path))}},
        {"type": "text", "text": question},
    ]
    return "".join(piece.text for piece in chat_model("vision").stream([HumanMessage(content)])).strip()
""",
        """
_eyes = None


def ask_about_image(image_path, question="Describe the image"):
    global _eyes
    _eyes = _eyes or chat_model("vision", max_tokens=128)
    with io.BytesIO() as file:
        open_picture(image_path).save(file, format="png")
        letters = base64.b64encode(file.getvalue()).decode("ascii")
    message = {
        "role": "user",
        "content": [
            {"type": "text", "text": question},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{letters}"}},
        ],
    }
    return str(_eyes.invoke([message]).content).strip()
""",
        """
def ask_about_image(image_path, question="Describe the image"):
    from langchain_core.prompts import ChatPromptTemplate

    buffer = io.BytesIO()
    open_picture(image_path).save(buffer, format="PNG")
    address = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    parts = [{"type": "text", "text": "{question}"}, {"type": "image_url", "image_url": {"url": "{address}"}}]
    chain = ChatPromptTemplate.from_messages([("user", parts)]) | chat_model("vision")
    return chain.invoke({"question": question, "address": address}).text.strip()
""",
    ],
    "prompts_in": [
        """
def prompts_in(reply):
    found = []
    for line in reply.splitlines():
        mark, _, text = line.strip().partition(" ")
        if mark in ("-", "*", "•") or re.fullmatch(r"\\(?[0-9]+[.):]", mark):
            text = text.strip(" \\"'“”‘’*`\\t")
            if text:
                found.append(text)
    return found
""",
        """
MARKS = re.compile(r"\\s*([-*•]|\\(?\\d+(\\.|\\)|:))\\s+")


def prompts_in(reply):
    lines = [line for line in reply.split("\\n") if MARKS.match(line)]
    texts = [re.sub(r"^[\\s\\"'“”‘’*`]+|[\\s\\"'“”‘’*`]+$", "", MARKS.sub("", line, count=1)) for line in lines]
    return list(filter(None, texts))
""",
        """
def prompts_in(reply):
    pattern = re.compile(r"^[ \\t]*(?:\\(?\\d+[.):]|[-*•])[ \\t]+(.*?)[ \\t]*$", re.MULTILINE)
    texts = (match.strip(" \\t\\r\\"'“”‘’«»`*") for match in pattern.findall(reply))
    return [text for text in texts if text]
""",
    ],
    "llm_rewrite_to_image_prompts": [
        REWRITE.format(**REWRITE_RIGHT),
        """
def llm_rewrite_to_image_prompts(user_query, n=4):
    if n <= 0:
        raise ValueError("no prompts wanted?")
    chosen, warmth = [], iter((0, 0.5, 0.8, 1.0, 1.2))
    while len(chosen) < n:
        temperature = next(warmth, None)
        if temperature is None:
            raise ValueError(f"{len(chosen)} good prompts were found, but {n} are wanted.")
        request = f"I want {n} pictures of this: {user_query} Write a prompt for each of them."
        for text in prompts_in(chat_model("text").invoke(request, temperature=temperature).text):
            if on_subject(text, user_query) and not any(same(text, other) for other in chosen):
                chosen.append(text)
    return chosen[:n]
""",
        """
def llm_rewrite_to_image_prompts(user_query, n=4):
    def ask(request):
        return [p for p in prompts_in(chat_model("text").invoke([HumanMessage(request)]).text) if on_subject(p, user_query)]

    if n < 1:
        raise ValueError("ask for one prompt at least")
    requests = (
        f"Rewrite this into {n} different image prompts, as a numbered list: {user_query}",
        f"Generate {n} creative variations of this prompt: {user_query}",
        f"Give me {n} different prompts for pictures of {user_query}. Number them.",
        f"{user_query}\\nWrite {n} image prompts about this.",
    )
    pool = []
    for request in requests:
        pool = distinct(pool + ask(request))
        if len(pool) >= n:
            break
    else:
        raise ValueError(f"The model has {len(pool)} ideas, not {n}.")
    return pool[:n]
""",
        """
def llm_rewrite_to_image_prompts(user_query, n=4):
    from langchain_core.output_parsers import StrOutputParser

    if n < 1:
        raise ValueError(f"n is {n}, but at least one prompt should be wanted")
    good = []
    for attempt in range(5):
        chain = chat_model("text", temperature=[0, 0.7, 0.9, 1.0, 1.2][attempt]) | StrOutputParser() | prompts_in
        wish = f"Write a numbered list of {n} different image prompts about this: {user_query}"
        if good:
            wish += " They should differ from these: " + "; ".join(good)
        good += chain.invoke(wish)
        good = distinct([prompt for prompt in good if on_subject(prompt, user_query)])
        if len(good) >= n:
            return good[:n]
    raise ValueError(f"{len(good)} of {n} prompts were found")
""",
    ],
    "generate_images": [
        DRAW.format(**DRAW_RIGHT),
        """
def generate_images(prompt, n=1, *, seed=0):
    pipe = load("diffusion")
    texts = [prompt] if isinstance(prompt, str) else list(prompt)
    seeds = range(seed, seed + n * len(texts))
    images = pipe(
        texts,
        num_images_per_prompt=n,
        num_inference_steps=25,
        guidance_scale=4.0,
        generator=[torch.Generator("cpu").manual_seed(number) for number in seeds],
    )[0]
    settings_used = {"steps": 25, "guidance_scale": 4.0}
    return [
        attach(image, make_provenance(image, pipe, prompt=texts[k // n], seed=seeds[k], **settings_used))
        for k, image in enumerate(images)
    ]
""",
        """
def generate_images(prompt, n=1, *, seed=0):
    from itertools import chain, repeat

    given = (prompt,) if isinstance(prompt, str) else prompt
    texts = list(chain.from_iterable(repeat(text, n) for text in given))
    pipeline = few_step(load("diffusion"))
    seeds = [seed + i for i, _ in enumerate(texts)]
    options = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE}
    made = pipeline(prompt=texts, generator=[torch.Generator().manual_seed(s) for s in seeds], **options).images
    for image, text, s in zip(made, texts, seeds, strict=True):
        provenance = make_provenance(image, pipeline, prompt=text, seed=s, steps=STEPS, guidance_scale=GUIDANCE)
        attach(image, provenance)
    return made
""",
    ],
    "plot_imgs": [
        PLOT.format(**PLOT_RIGHT),
        """
def plot_imgs(images, r=2, c=2, original_image_name="image.png", output_dir="generated_images"):
    assert_fits = r * c - len(images)
    if assert_fits < 0:
        raise ValueError(f"{-assert_fits} pictures too many for the grid")
    stem = Path(original_image_name).stem
    folder = Path(output_dir)
    folder.mkdir(exist_ok=True, parents=True)
    taken = {file.name for file in folder.iterdir()}
    free = (name for name in (f"{stem}_{i}.png" for i in count(1)) if name not in taken)
    figure = plt.figure()
    saved = []
    for place, (image, name) in enumerate(zip(images, free), start=1):
        axes = figure.add_subplot(r, c, place)
        axes.imshow(image)
        axes.axis("off")
        saved.append(str(save_with_provenance(image, folder / name)))
    plt.show()
    return saved
""",
        """
def plot_imgs(images, r=2, c=2, original_image_name="image.png", output_dir="generated_images"):
    import os

    if len(images) > r * c:
        raise ValueError(f"{len(images)} pictures don't fit into {r} rows and {c} columns")
    os.makedirs(output_dir, exist_ok=True)
    stem, _ = os.path.splitext(os.path.basename(original_image_name))
    paths = []
    for image in images:
        path = next(p for k in count(1) if not os.path.exists(p := os.path.join(output_dir, f"{stem}_{k}.png")))
        save_with_provenance(image, path)
        paths.append(path)
    figure, axes = plt.subplots(nrows=r, ncols=c, squeeze=False, figsize=(3 * c, 3 * r))
    for ax in axes.ravel():
        ax.set_axis_off()
    for ax, image, path in zip(axes.ravel(), images, paths):
        ax.imshow(image)
        ax.set_title(os.path.basename(path))
    show.plot(figure, alt=f"{len(images)} pictures made from {stem}")
    return paths
""",
    ],
    "generate_images_from_image": [
        WHOLE.format(
            body="""told = ask_about_image(image_url)
    texts = llm_rewrite_to_image_prompts(told, n=num_images)
    drawn = generate_images(texts)
    return plot_imgs(drawn, len(drawn), 1, picture_name(image_url)), texts, told"""
        ),
        """
def generate_images_from_image(image_url, num_images=4):
    description = ask_about_image(image_path=image_url, question="Describe the picture.")
    prompts = llm_rewrite_to_image_prompts(user_query=description, n=num_images)
    images = generate_images(prompts, 1, seed=100)
    grid = {"r": 1, "c": num_images}
    paths = plot_imgs(images, **grid, original_image_name=picture_name(image_url), output_dir=FOLDER)
    return (paths, prompts, description)
""",
        """
def generate_images_from_image(image_url, num_images=4):
    description = ask_about_image(image_url)
    prompts = llm_rewrite_to_image_prompts(description, num_images)
    rows = math.isqrt(num_images - 1) + 1
    paths = plot_imgs(generate_images(prompts), rows, -(-num_images // rows), picture_name(image_url), FOLDER)
    return paths, prompts, description
""",
    ],
    "send_metadata": [
        """
def send_metadata(results, *, sources=None):
    if sources is not None and len(sources) != len(results):
        raise ValueError("one source for each result, please")
    found = []
    for number, (paths, prompts, description) in enumerate(results):
        source = sources[number] if sources else None
        found.append(make_record(description, prompts, paths, source_image=source))
    file = write_metadata(found, FOLDER)
    return json.loads(file.read_text(encoding="utf-8"))
""",
        """
def send_metadata(results, *, sources=None):
    records = []
    for (paths, prompts, description), source in zip(results, [None] * len(results) if sources is None else sources, strict=True):
        record = {"original_description": description, "prompts": prompts, "image_paths": [str(path) for path in paths]}
        if source is not None:
            record["source_image"] = Path(source).as_posix()
        provenance = [provenance_of(path) for path in paths]
        if any(provenance):
            record["provenance"] = [each and each.model_dump() for each in provenance]
        records.append(record)
    Path("generated_images").mkdir(exist_ok=True)
    with open("generated_images/all_metadata.json", "w", encoding="utf-8") as file:
        json.dump(records, file)
    return records
""",
        """
def send_metadata(results, *, sources=None):
    if sources is None:
        sources = [None for _ in results]
    elif len(sources) != len(results):
        raise ValueError(f"{len(results)} results, but {len(sources)} sources")
    made = [make_record(d, p, i, source_image=s) for (i, p, d), s in zip(results, sources)]
    write_metadata(made, FOLDER)
    return [record.model_dump(exclude_none=True) for record in read_metadata(f"{FOLDER}/all_metadata.json")]
""",
    ],
    "handed_in": [
        """
results = []
for path in originals:
    results.append(generate_images_from_image(str(path), num_images=4))
send_metadata(results, sources=[str(path) for path in originals])
""",
        """
records = []
for path in reversed(originals):
    told = ask_about_image(path)
    prompts = llm_rewrite_to_image_prompts(told)
    files = plot_imgs(generate_images(prompts, seed=50), original_image_name=path.name)
    records.append(make_record(told, prompts, files, source_image=path))
write_metadata(records, FOLDER)
""",
        """
results = [generate_images_from_image(path) for path in originals]
send_metadata(results, sources=originals)
""",
    ],
    "post_submission": [
        POST.format(
            body="""import httpx

    body = pack(read_metadata(metadata_file), student=student)
    where = url + "/run_assessment"
    try:
        with httpx.Client(timeout=timeout) as client:
            answer = client.post(where, content=json.dumps(body), headers={"content-type": "application/json"})
        answer.raise_for_status()
        return answer.json()
    except httpx.HTTPStatusError as error:
        raise RuntimeError(f"{where} says no: {error.response.text}")
    except (httpx.HTTPError, ValueError) as error:
        said = answer.text if "answer" in locals() else error
        raise RuntimeError(f"{where}: {said}")"""
        ),
        POST.format(
            body="""from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    target = f"{url}/run_assessment"
    data = json.dumps(pack(read_metadata(metadata_file), student=student)).encode()
    request = Request(target, data=data, headers={"Content-Type": "application/json"}, method="POST")
    try:
        with urlopen(request, timeout=timeout) as answer:
            text = answer.read().decode()
    except HTTPError as error:
        raise RuntimeError(f"{target} refuses ({error.code}): {error.read().decode()}") from None
    except OSError as error:
        raise RuntimeError(f"{target} does not answer: {error}") from None
    try:
        return json.loads(text)
    except ValueError:
        raise RuntimeError(f"{target} sends no JSON: {text}") from None"""
        ),
        """
def post_submission(metadata_file, url, *, student="", timeout=600):
    address = f"{url}/run_assessment"
    try:
        answer = requests.post(address, json=pack(read_metadata(metadata_file), student=student), timeout=timeout)
        answer.raise_for_status()
        return answer.json()
    except requests.HTTPError as error:
        raise RuntimeError(f"{address} refuses ({error.response.status_code}): {error.response.text}") from error
    except requests.JSONDecodeError:
        raise RuntimeError(f"{address} answers what is no JSON: {answer.text}") from None
    except requests.RequestException as error:
        raise RuntimeError(f"Nobody answers at {address}: {error}") from error
""",
        PLAIN_POST,
    ],
}

_ASKED = """image = open_picture(image_path)
    file = io.BytesIO()
    image.save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    parts = [{"type": "text", "text": %s}, {"type": "image_url", "image_url": {"url": url}}]
    return %s"""

_CHAIN = """description = ask_about_image(image_url)
    prompts = %s
    images = %s
    paths = plot_imgs(images, num_images, 1, original_image_name=%s)
    return %s"""
_CHAIN_RIGHT = (
    "llm_rewrite_to_image_prompts(description, num_images)",
    "generate_images(prompts)",
    "picture_name(image_url)",
    "paths, prompts, description",
)


def _chain(at: int, part: str) -> str:
    parts = list(_CHAIN_RIGHT)
    parts[at] = part
    return WHOLE.format(body=_CHAIN % tuple(parts))


WRONG = {
    "ask_about_image": [
        (
            "always the same question",
            ASK.format(
                body=_ASKED
                % ('"Describe the image"', 'chat_model("vision").invoke([HumanMessage(content=parts)]).text.strip()')
            ),
        ),
        (
            "the message instead of its text",
            ASK.format(body=_ASKED % ("question", 'chat_model("vision").invoke([HumanMessage(content=parts)])')),
        ),
        (
            "spaces left around",
            ASK.format(body=_ASKED % ("question", 'chat_model("vision").invoke([HumanMessage(content=parts)]).text')),
        ),
        ("without the picture", ASK.format(body='return chat_model("vision").invoke(question).text.strip()')),
        (
            "the path as text",
            ASK.format(body='return chat_model("vision").invoke(f"{question}: {image_path}").text.strip()'),
        ),
        (
            "only files, no addresses",
            ASK.format(
                body="""letters = base64.b64encode(Path(image_path).read_bytes()).decode()
    parts = [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": "data:image/png;base64," + letters}}]
    return chat_model("vision").invoke([HumanMessage(content=parts)]).text.strip()"""
            ),
        ),
        (
            "asks twice",
            ASK.format(
                body=_ASKED
                % ("question", "[chat_model('vision').invoke([HumanMessage(parts)]).text.strip() for _ in range(2)][0]")
            ),
        ),
        (
            "asks the model that has no eyes",
            """
def ask_about_image(image_path, question="Describe the image"):
    buffer = io.BytesIO()
    open_picture(image_path).save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    parts = [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": url}}]
    return chat_model("text").invoke([HumanMessage(parts)]).text.strip()
""",
        ),
        (
            "asks something else where no question is given",
            ASK.replace("Describe the image", "What is this?").format(
                body=_ASKED % ("question", 'chat_model("vision").invoke([HumanMessage(content=parts)]).text.strip()')
            ),
        ),
        (
            "always the same words, whatever the model says",
            ASK.format(
                body=_ASKED
                % ("question", '(chat_model("vision").invoke([HumanMessage(parts)]), "The picture shows a boat.")[1]')
            ),
        ),
    ],
    "prompts_in": [
        ("every line", LISTED.format(body="return [line.strip() for line in reply.splitlines() if line.strip()]")),
        (
            "only '1.'",
            LISTED.format(
                body='return [t.strip(" \\"“”*`\'") for t in re.findall(r"^\\d+\\. (.+)$", reply, flags=re.M)]'
            ),
        ),
        (
            "quotes left",
            LISTED.format(body='return re.findall(r"^\\s*(?:\\(?\\d+[.):]|[-*•])\\s+(.+)$", reply, flags=re.M)'),
        ),
        (
            "numbers of things taken for marks",
            LISTED.format(
                body='return [t.strip(" \\"“”*`\'") for t in re.findall(r"^\\s*(?:\\(?\\d+[.):]?|[-*•])\\s+(.+)$", reply, flags=re.M)]'
            ),
        ),
        (
            "doubles dropped",
            LISTED.format(
                body="""found = [t.strip(" \\"“”*`'") for t in re.findall(r"^[ ]*(?:\\(?\\d+[.):]|[-*•])[ ]+(.*)$", reply, flags=re.M)]
    return [t for i, t in enumerate(found) if t and t not in found[:i]]"""
            ),
        ),
        ("one string", LISTED.format(body='return "\\n".join(re.findall(r"\\d+[.)] (.+)", reply))')),
        (
            "a full stop is taken away",
            """
def prompts_in(reply):
    found = []
    for line in reply.splitlines():
        match = re.match(r"\\s*(?:\\(?\\d+[.):]|[-*•])\\s+(.+)", line)
        if match:
            text = match[1].strip(" \\t\\"'“”*`.,")
            if text:
                found.append(text)
    return found
""",
        ),
        (
            "quotes inside are taken away, too",
            """
def prompts_in(reply):
    found = []
    for line in reply.splitlines():
        match = re.match(r"\\s*(?:\\(?\\d+[.):]|[-*•])\\s+(.+)", line)
        if match:
            text = match[1].strip(" \\t\\"'“”*`").replace('"', '').replace('*', '')
            if text:
                found.append(text)
    return found
""",
        ),
        (
            "an empty entry is an empty prompt",
            LISTED.format(
                body="""found = re.findall(r"^[ \\t]*(?:\\(?\\d+[.):]|[-*•])[ \\t]+(.*)$", reply, flags=re.MULTILINE)
    return [text.strip(" \\t\\r\\"'“”‘’*`") for text in found]"""
            ),
        ),
        (
            "no spaces before the mark",
            LISTED.format(
                body="""found = re.findall(r"^(?:\\(?\\d+[.):]|[-*•])[ \\t]+(.*)$", reply, flags=re.MULTILINE)
    bare = (text.strip(" \\t\\r\\"'“”‘’*`") for text in found)
    return [text for text in bare if text]"""
            ),
        ),
        ("always the same list", LISTED.format(body='return ["a red cat", "a blue dog"]')),
    ],
    "llm_rewrite_to_image_prompts": [
        (
            "padding taken for prompts",
            REWRITE.format(
                **{**REWRITE_RIGHT, "sift": "good += [p for p in prompts_in(reply) if on_subject(p, user_query)]"}
            ),
        ),
        (
            "only exact doubles dropped",
            REWRITE.format(
                **{
                    **REWRITE_RIGHT,
                    "sift": "good = list(dict.fromkeys(good + [p for p in prompts_in(reply) if on_subject(p, user_query)]))",
                }
            ),
        ),
        ("off the subject", REWRITE.format(**{**REWRITE_RIGHT, "sift": "good = distinct(good + prompts_in(reply))"})),
        (
            "forgets what the first reply gave",
            REWRITE.format(
                **{
                    **REWRITE_RIGHT,
                    "sift": "good = distinct(p for p in prompts_in(reply) if on_subject(p, user_query))",
                }
            ),
        ),
        ("more than n", REWRITE.format(**{**REWRITE_RIGHT, "result": "good"})),
        (
            "pads when it runs dry",
            REWRITE.format(
                **{**REWRITE_RIGHT, "end": 'return (good + [f"{user_query} (variation {i})" for i in range(n)])[:n]'}
            ),
        ),
        ("fewer than n", REWRITE.format(**{**REWRITE_RIGHT, "end": "return good"})),
        (
            "does not say how many",
            REWRITE.format(**{**REWRITE_RIGHT, "end": 'raise ValueError("the model gave too little")'}),
        ),
        (
            "the same words again, temperature 0",
            REWRITE.format(
                **{
                    **REWRITE_RIGHT,
                    "temperature": "0",
                    "asked": '["Write {n} distinct prompts for an image generator about: {query}"]',
                }
            ),
        ),
        ("for ever", REWRITE.format(**{**REWRITE_RIGHT, "tries": "10**6"})),
        ("asks only once", REWRITE.format(**{**REWRITE_RIGHT, "tries": "1"})),
        (
            "always asks six times",
            REWRITE.format(**{**REWRITE_RIGHT, "result": "good[:n] if attempt == 5 else None"}).replace(
                "if len(good) >= n:", "if len(good) >= n and attempt == 5:"
            ),
        ),
        ("always four", REWRITE.format(**{**REWRITE_RIGHT, "guard": "n = 4"})),
        (
            "no model at all",
            'def llm_rewrite_to_image_prompts(user_query, n=4):\n    places = ["on mars", "at night", "by the sea", "in a room", "in the snow", "in the desert"]\n    return [f"{user_query} {place}" for place in places[:n]]\n',
        ),
        (
            "swallows the service's errors",
            REWRITE.format(**REWRITE_RIGHT).replace("reply = model.invoke(", "reply = quietly(model, ")
            + "\n\ndef quietly(model, request):\n    try:\n        return model.invoke(request)\n    except Exception:\n        return HumanMessage('')\n",
        ),
        (
            "swallows ValueErrors of the chat model",
            """
def llm_rewrite_to_image_prompts(user_query, n=4):
    if n < 1:
        raise ValueError("n should be 1 or more")
    good = []
    for attempt in range(5):
        try:
            reply = chat_model("text", temperature=0.4 * attempt).invoke(f"Write {n} image prompts about: {user_query}").text
        except ValueError:
            continue
        good = distinct([*good, *(p for p in prompts_in(reply) if on_subject(p, user_query))])
        if len(good) >= n:
            return good[:n]
    raise ValueError(f"only {len(good)} of {n}")
""",
        ),
        ("no prompts for n=0, without a word", REWRITE.format(**{**REWRITE_RIGHT, "guard": ""})),
        ("gives up after two requests", REWRITE.format(**{**REWRITE_RIGHT, "tries": "2"})),
        (
            "does not tell the model how many",
            REWRITE.format(**{**REWRITE_RIGHT, "asked": '["Write prompts for pictures of this: {query}"]'}),
        ),
        (
            "asks about something else",
            REWRITE.format(**{**REWRITE_RIGHT, "asked": '["Write {n} prompts for an image generator."]'}),
        ),
    ],
    "generate_images": [
        (
            "one generator for all",
            DRAW.format(
                **{
                    **DRAW_RIGHT,
                    "draw": """generator = torch.Generator().manual_seed(seed)
    images = pipe(prompts, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generator).images""",
                }
            ),
        ),
        (
            "one picture at a time",
            DRAW.format(
                **{
                    **DRAW_RIGHT,
                    "draw": """images = []
    for i, text in enumerate(prompts):
        drawn = pipe(text, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=torch.Generator().manual_seed(seed + i))
        images += drawn.images""",
                }
            ),
        ),
        (
            "the same seed for each picture",
            DRAW.format(
                **{
                    **DRAW_RIGHT,
                    "draw": """generators = [torch.Generator().manual_seed(seed) for _ in prompts]
    images = pipe(prompts, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators).images""",
                }
            ),
        ),
        ("no provenance", DRAW.format(**{**DRAW_RIGHT, "provenance": "pass"})),
        (
            "provenance with the first seed",
            DRAW.format(
                **{
                    **DRAW_RIGHT,
                    "provenance": "attach(image, make_provenance(image, pipe, prompt=text, seed=seed, steps=STEPS, guidance_scale=GUIDANCE))",
                }
            ),
        ),
        (
            "the model's steps and guidance in few_step's pipeline",
            DRAW.format(**DRAW_RIGHT).replace("STEPS", "25").replace("GUIDANCE", "4.0"),
        ),
        ("few steps without the adapter", DRAW.format(**{**DRAW_RIGHT, "pipe": 'load("diffusion")'})),
        (
            "provenance without the adapter",
            DRAW.format(**DRAW_RIGHT).replace("(image, pipe,", '(image, load("diffusion"),'),
        ),
        (
            "the pipeline's own steps and guidance",
            DRAW.format(
                **{
                    **DRAW_RIGHT,
                    "pipe": 'load("diffusion")',
                    "draw": """generators = [torch.Generator().manual_seed(seed + i) for i in range(len(prompts))]
    images = pipe(prompts, generator=generators).images""",
                }
            ),
        ),
        ("no lists", DRAW.format(**{**DRAW_RIGHT, "prompts": "[prompt] * n"})),
        (
            "n in another order",
            DRAW.format(**{**DRAW_RIGHT, "prompts": "([prompt] if isinstance(prompt, str) else prompt) * n"}),
        ),
        (
            "the same prompt once",
            """
def generate_images(prompt, n=1, *, seed=0):
    prompts = [p for p in ([prompt] if isinstance(prompt, str) else dict.fromkeys(prompt)) for _ in range(n)]
    pipe = few_step(load("diffusion"))
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(prompts))]
    images = pipe(prompts, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators).images
    for i, (image, text) in enumerate(zip(images, prompts)):
        attach(image, make_provenance(image, pipe, prompt=text, seed=seed + i, steps=STEPS, guidance_scale=GUIDANCE))
    return images
""",
        ),
        (
            "loads the pipeline at each call",
            DRAW.format(
                **{
                    **DRAW_RIGHT,
                    "pipe": """load("diffusion")
    pipe = few_step(type(pipe).from_pretrained(pipe.config._name_or_path))""",
                }
            ),
        ),
        (
            "always the seeds 0, 1, 2",
            DRAW.format(
                **{
                    **DRAW_RIGHT,
                    "draw": """generators = [torch.Generator().manual_seed(i) for i in range(len(prompts))]
    images = pipe(prompts, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators).images""",
                }
            ),
        ),
    ],
    "plot_imgs": [
        ("overwrites", PLOT.format(**{**PLOT_RIGHT, "free": "pass"})),
        (
            "looks only at the first free number",
            PLOT.format(
                **{
                    **PLOT_RIGHT,
                    "number": 'next(i for i in count(1) if not (Path(output_dir) / f"{Path(original_image_name).stem}_{i}.png").exists())',
                    "free": "pass",
                }
            ),
        ),
        ("one name for all originals", PLOT.format(**{**PLOT_RIGHT, "folder": 'Path(output_dir), "generated"'})),
        (
            "the suffix in the middle",
            PLOT.format(**{**PLOT_RIGHT, "folder": "Path(output_dir), Path(original_image_name).name"}),
        ),
        (
            "provenance lost",
            PLOT.format(
                **{
                    **PLOT_RIGHT,
                    "save": """path = folder / f"{stem}_{number}.png"
        folder.mkdir(parents=True, exist_ok=True)
        image.save(path)""",
                }
            ),
        ),
        (
            "saves to another folder",
            PLOT.format(**{**PLOT_RIGHT, "folder": 'Path("generated_images"), Path(original_image_name).stem'}),
        ),
        ("shows nothing", PLOT.format(**{**PLOT_RIGHT, "show": "pass"})),
        ("takes too many", PLOT.format(**{**PLOT_RIGHT, "guard": ""})),
        (
            "refuses after saving",
            PLOT.format(**{**PLOT_RIGHT, "guard": "", "show": f"{PLOT_RIGHT['show']}\n    {PLOT_RIGHT['guard']}"}),
        ),
        ("returns nothing", PLOT.format(**PLOT_RIGHT).replace("return paths", "")),
        (
            "stumbles over a single picture",
            PLOT.format(
                **{
                    **PLOT_RIGHT,
                    "show": """figure, axes = plt.subplots(r, c)
    for axis, image in zip(axes.flat, images):
        axis.imshow(image)
    show.plot(figure, alt=f"made from {stem}")""",
                }
            ),
        ),
        (
            "goes on after the highest number",
            PLOT.format(
                **{
                    **PLOT_RIGHT,
                    "number": """1 + max(
        (int(file.stem.rpartition("_")[2]) for file in folder.glob(f"{stem}_*.png")), default=0
    )""",
                    "free": "pass",
                }
            ),
        ),
        (
            "takes all that follows the first dot for the suffix",
            PLOT.format(
                **{**PLOT_RIGHT, "folder": 'Path(output_dir), Path(original_image_name).name.partition(".")[0]'}
            ),
        ),
    ],
    "generate_images_from_image": [
        ("a batch for each prompt", _chain(1, "[image for prompt in prompts for image in generate_images(prompt)]")),
        ("the description as the only prompt", _chain(1, "generate_images(description, num_images)")),
        ("always four prompts", _chain(0, "llm_rewrite_to_image_prompts(description)")),
        ("all files are called image", _chain(2, '"image.png"')),
        ("another order", _chain(3, "description, prompts, paths")),
        ("pictures in the wrong order", _chain(1, "generate_images(prompts)[::-1]")),
        ("pictures instead of paths", _chain(3, "images, prompts, description")),
        ("rewrites the file's name", _chain(0, "llm_rewrite_to_image_prompts(str(image_url), num_images)")),
        ("describes the picture twice", _chain(2, "[ask_about_image(image_url), picture_name(image_url)][1]")),
        ("stumbles over addresses", _chain(2, "Path(image_url).resolve(strict=True).name")),
    ],
    "send_metadata": [
        (
            "description and paths swapped",
            SEND.format(
                body="""records = [make_record(d, p, i) for d, p, i in results]
    write_metadata(records, FOLDER)
    return [r.model_dump(exclude_none=True) for r in records]"""
            ),
        ),
        (
            "sources forgotten",
            SEND.format(
                body="""records = [make_record(d, p, i) for i, p, d in results]
    write_metadata(records, FOLDER)
    return [r.model_dump(exclude_none=True) for r in records]"""
            ),
        ),
        (
            "nothing written",
            SEND.format(
                body="""sources = sources or [None] * len(results)
    pairs = zip(results, sources, strict=True)
    return [make_record(d, p, i, source_image=s).model_dump(exclude_none=True) for (i, p, d), s in pairs]"""
            ),
        ),
        (
            "only the last record in the file",
            SEND.format(
                body="""found = []
    for (i, p, d), s in zip(results, sources or [None] * len(results), strict=True):
        found.append(make_record(d, p, i, source_image=s))
        write_metadata(found[-1:], FOLDER)
    return [r.model_dump(exclude_none=True) for r in found]"""
            ),
        ),
        (
            "provenance left out",
            SEND.format(
                body="""found = []
    for (i, p, d), s in zip(results, sources or [None] * len(results), strict=True):
        found.append({"original_description": d, "prompts": p, "image_paths": i} | ({"source_image": s} if s else {}))
    Path(FOLDER).mkdir(exist_ok=True)
    Path(FOLDER, "all_metadata.json").write_text(json.dumps(found))
    return found"""
            ),
        ),
        (
            "too few sources pass",
            SEND.format(
                body="""records = [make_record(d, p, i, source_image=s) for (i, p, d), s in zip(results, sources or [None] * len(results))]
    write_metadata(records, FOLDER)
    return [r.model_dump(exclude_none=True) for r in records]"""
            ),
        ),
        (
            "records instead of dicts",
            SEND.format(
                body="""records = [make_record(d, p, i, source_image=s) for (i, p, d), s in zip(results, sources or [None] * len(results), strict=True)]
    write_metadata(records, FOLDER)
    return records"""
            ),
        ),
        (
            "adds to what is in the file",
            """
def send_metadata(results, *, sources=None):
    if sources is not None and len(sources) != len(results):
        raise ValueError("sources")
    records = (read_metadata(f"{FOLDER}/all_metadata.json") if Path(FOLDER, "all_metadata.json").exists() else [])
    for (paths, prompts, description), source in zip(results, sources or [None] * len(results)):
        records.append(make_record(description, prompts, paths, source_image=source))
    write_metadata(records, FOLDER)
    return [record.model_dump(exclude_none=True) for record in records]
""",
        ),
        (
            "no sources are as good as None",
            """
def send_metadata(results, *, sources=None):
    if sources and len(sources) != len(results):
        raise ValueError("sources")
    records = []
    for (paths, prompts, description), source in zip(results, sources or [None] * len(results)):
        records.append(make_record(description, prompts, paths, source_image=source))
    write_metadata(records, FOLDER)
    return [record.model_dump(exclude_none=True) for record in records]
""",
        ),
        (
            "takes strings only",
            """
def send_metadata(results, *, sources=None):
    if sources is not None and len(sources) != len(results):
        raise ValueError("sources")
    records = []
    for i, (paths, prompts, description) in enumerate(results):
        record = make_record(description, prompts, paths).model_dump(exclude_none=True)
        records.append(record if sources is None else record | {"source_image": sources[i]})
    Path(FOLDER).mkdir(exist_ok=True)
    Path(FOLDER, "all_metadata.json").write_text(json.dumps(records))
    return records
""",
        ),
        (
            "writes nothing where there are no results",
            """
def send_metadata(results, *, sources=None):
    if sources is not None and len(sources) != len(results):
        raise ValueError("sources")
    if not results:
        return []
    pairs = zip(results, sources or [None] * len(results))
    records = [make_record(d, p, i, source_image=s) for (i, p, d), s in pairs]
    write_metadata(records, FOLDER)
    return [record.model_dump(exclude_none=True) for record in records]
""",
        ),
    ],
    "handed_in": [
        ("an empty list", "write_metadata([], FOLDER)"),
        ("no file", "records = []"),
        ("noise for pictures, no provenance", MADE_UP.format(**MADE_UP_PARTS)),
        ("the original four times", MADE_UP.format(**{**MADE_UP_PARTS, "image": "open_picture(path)"})),
        (
            "padded prompts",
            MADE_UP.format(**{**MADE_UP_PARTS, "prompts": '[f"{thing} (variation {i})" for i in range(4)]'}),
        ),
        (
            "another subject",
            MADE_UP.format(**{**MADE_UP_PARTS, "prompts": '[f"a large green box, {place}" for place in places]'}),
        ),
        ("descriptions mixed up", MADE_UP.format(**{**MADE_UP_PARTS, "description": "told[number - 1]"})),
        ("three records", MADE_UP.format(**{**MADE_UP_PARTS, "some": "[:3]"})),
        (
            "somebody else's provenance",
            MADE_UP.format(**MADE_UP_PARTS)
            .replace("image.save(paths[-1])", "save_with_provenance(image, paths[-1])")
            .replace(
                ".convert('RGB')",
                ".convert('RGB')\n        attach(image, make_provenance(image, load('diffusion'), prompt=prompt, seed=i, steps=25, guidance_scale=4.0))",
            ),
        ),
        (
            "the same picture of an original four times, saved under four names",
            """
results = [generate_images_from_image(originals[0])]
paths, prompts, told = results[0]
send_metadata([(paths, prompts, told)] * 4, sources=originals)
""",
        ),
        (
            "provenance lost",
            """
results = []
for path in originals:
    results.append(generate_images_from_image(path))
    for file in results[-1][0]:
        open_picture(file).save(file)
send_metadata(results, sources=originals)
""",
        ),
        (
            "one picture stands for two",
            """
results = [generate_images_from_image(path) for path in originals]
for paths, prompts, description in results:
    Path(paths[1]).write_bytes(Path(paths[0]).read_bytes())
send_metadata(results, sources=originals)
""",
        ),
    ],
    "post_submission": [
        (
            "the records alone",
            POST.format(
                body='return requests.post(f"{url}/run_assessment", json={"submission": json.loads(Path(metadata_file).read_text())}).json()'
            ),
        ),
        (
            "asks for the wrong page",
            POST.format(
                body="""answer = requests.post(url, json=pack(read_metadata(metadata_file), student=student), timeout=timeout)
    return answer.json()"""
            ),
        ),
        (
            "without the name",
            POST.format(
                body="""try:
        answer = requests.post(f"{url}/run_assessment", json=pack(read_metadata(metadata_file)), timeout=timeout)
        if not answer.ok:
            raise ValueError
        return answer.json()
    except (requests.RequestException, ValueError):
        raise RuntimeError(f"{url}: {answer.text if 'answer' in locals() else 'nobody there'}")"""
            ),
        ),
        (
            "the library's own errors come out",
            POST.format(
                body="""answer = requests.post(f"{url}/run_assessment", json=pack(read_metadata(metadata_file), student=student), timeout=timeout)
    answer.raise_for_status()
    return answer.json()"""
            ),
        ),
        (
            "refusals taken for answers",
            POST.format(
                body="""try:
        answer = requests.post(f"{url}/run_assessment", json=pack(read_metadata(metadata_file), student=student), timeout=timeout)
    except requests.RequestException as error:
        raise RuntimeError(f"{url}: {error}")
    try:
        return answer.json()
    except ValueError:
        return {"result": answer.text}"""
            ),
        ),
        (
            "says only that it failed",
            POST.format(
                body="""try:
        answer = requests.post(f"{url}/run_assessment", json=pack(read_metadata(metadata_file), student=student), timeout=timeout)
        answer.raise_for_status()
        return answer.json()
    except Exception:
        raise RuntimeError("it did not work")"""
            ),
        ),
        (
            "the response instead of the dict",
            POST.format(
                body='return requests.post(f"{url}/run_assessment", json=pack(read_metadata(metadata_file), student=student), timeout=timeout)'
            ),
        ),
        ("waits for ever, as the library does", PLAIN_POST.replace(", timeout=timeout)", ")")),
        ("waits for a minute, whatever timeout says", PLAIN_POST.replace("timeout=timeout)", "timeout=60)")),
        ("the body is sent as a form", PLAIN_POST.replace("json=pack", "data=pack")),
        (
            "JSON whose header does not say so",
            PLAIN_POST.replace("json=pack(", "data=json.dumps(pack(").replace("=student)", "=student))"),
        ),
        (
            "a connection that fails is told, one that is slow is not",
            PLAIN_POST.replace("requests.RequestException", "requests.ConnectionError"),
        ),
        ("client errors only", PLAIN_POST.replace("status_code >= 400", "status_code in range(400, 500)")),
        (
            "names that are not ASCII lose letters",
            PLAIN_POST.replace("student=student", "student=student.encode('ascii', 'ignore').decode()"),
        ),
        (
            "an answer that is not JSON ends in the library's own error",
            PLAIN_POST.replace("except ValueError:", "except ZeroDivisionError:"),
        ),
        (
            "an answer that is not JSON is taken for nobody there, and its words are lost",
            POST.format(
                body="""address = f"{url}/run_assessment"
    try:
        answer = requests.post(address, json=pack(read_metadata(metadata_file), student=student), timeout=timeout)
        if answer.ok:
            return answer.json()
    except requests.RequestException:
        raise RuntimeError(f"nobody answers at {address}")
    raise RuntimeError(f"{address} refuses: {answer.text}")"""
            ),
        ),
    ],
}

PARTIAL = {
    "ask_about_image": (
        "spaces left around",
        "only files, no addresses",
        "asks twice",
        "asks the model that has no eyes",
        "asks something else where no question is given",
    ),
    "prompts_in": (
        "quotes left",
        "numbers of things taken for marks",
        "doubles dropped",
        "a full stop is taken away",
        "quotes inside are taken away, too",
        "an empty entry is an empty prompt",
        "no spaces before the mark",
    ),
    "llm_rewrite_to_image_prompts": (
        "does not say how many",
        "always asks six times",
        "swallows the service's errors",
        "swallows ValueErrors of the chat model",
        "no prompts for n=0, without a word",
        "gives up after two requests",
        "does not tell the model how many",
    ),
    "generate_images": (
        "one picture at a time",
        "provenance without the adapter",
        "n in another order",
        "the same prompt once",
        "loads the pipeline at each call",
    ),
    "plot_imgs": (
        "shows nothing",
        "takes too many",
        "refuses after saving",
        "stumbles over a single picture",
        "goes on after the highest number",
        "takes all that follows the first dot for the suffix",
    ),
    "generate_images_from_image": (
        "a batch for each prompt",
        "all files are called image",
        "describes the picture twice",
        "stumbles over addresses",
    ),
    "send_metadata": (
        "provenance left out",
        "too few sources pass",
        "adds to what is in the file",
        "no sources are as good as None",
        "takes strings only",
        "writes nothing where there are no results",
    ),
    "handed_in": ("provenance lost", "one picture stands for two"),
    "post_submission": (
        "without the name",
        "waits for ever, as the library does",
        "waits for a minute, whatever timeout says",
        "a connection that fails is told, one that is slow is not",
        "client errors only",
        "names that are not ASCII lose letters",
        "an answer that is not JSON ends in the library's own error",
        "an answer that is not JSON is taken for nobody there, and its words are lost",
    ),
}
"""Faults that miss an edge alone: what the exercise is about is right, so they keep at least half of the points."""
