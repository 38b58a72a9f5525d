"""Answers to the exercises of notebook 03: right ones, written differently, and mistakes that students make.

Each is the whole text of an exercise's cell. It runs after the notebook's set-up cells; another exercise's function
that it calls is there as in the solution.
"""

TOKENS = """
def image_tokens(model, pixel_values):
    {body}
"""

# The steps of an answer; a mistake is made in one of them.
STEPS = TOKENS.format(
    body="""with torch.no_grad():
        seen = model.model.vision_tower(pixel_values, output_hidden_states=True)
        states = {states}
        if model.config.vision_feature_select_strategy == "default":
            states = {dropped}
        return {end}"""
)
STEPS_RIGHT = {
    "states": "seen.hidden_states[model.config.vision_feature_layer]",
    "dropped": "states[:, 1:]",
    "end": "model.model.multi_modal_projector(states)[0]",
}

MERGE = """
def merge_image_tokens(text_embeds, image_embeds, is_image):
    {body}
"""

# The steps of an answer; a mistake is made in one of them.
MERGE_STEPS = MERGE.format(
    body="""if not (is_image.sum(1) == image_embeds.shape[1]).all():
        raise ValueError("each row needs as many placeholders as image tokens")
    merged = {start}
    {write}
    return merged"""
)
MERGE_RIGHT = {"start": "text_embeds.clone()", "write": "merged[is_image] = image_embeds.flatten(0, 1)"}

LABELS = """
def mask_labels(input_ids, answer_spans):
    {body}
"""
LABELS_STEPS = LABELS.format(
    body="""labels = {start}
    for i, spans in enumerate(answer_spans):
        for start, end in spans:
            labels[i, {where}] = {what}
    return {end}"""
)
LABELS_RIGHT = {
    "start": "torch.full(input_ids.shape, -100, dtype=torch.long)",
    "where": "start:end",
    "what": "input_ids[i, start:end].long()",
    "end": "labels",
}

SHUFFLE = """
def pixel_shuffle(tokens, factor):
    {body}
"""
SHUFFLE_STEPS = SHUFFLE.format(
    body="""batch, n, hidden = tokens.shape
    side = math.isqrt(n)
    {guard}
    {body}"""
)
SHUFFLE_GUARD = """if side**2 != n or side % factor:
        raise ValueError("the tokens should be a square grid of whole blocks")"""
SHUFFLE_BODY = """s = side // factor
    return tokens.reshape(batch, s, factor, s, factor, hidden).permute({order}).reshape(batch, s * s, -1)"""

TILE = """
def tile(image, size, *, overview=True):
    {body}
"""
TILE_STEPS = TILE.format(
    body="""padded = {padded}
    tiles = [
        padded.crop((x, y, x + size, y + size))
        {loops}
    ]
    whole = {whole}
    return {end}"""
)
TILE_RIGHT = {
    "padded": """Image.fromarray(
        np.pad(np.asarray(image), ((0, -image.height % size), (0, -image.width % size), (0, 0)), mode="edge")
    )""",
    "loops": """for y in range(0, padded.height, size)
        for x in range(0, padded.width, size)""",
    "whole": "image.resize((size, size))",
    "end": "[whole, *tiles] if overview else tiles",
}

RATE = """
def hallucination_rate(ask, examples):
    {body}
"""

URL = """
def data_url(image, *, format="PNG"):
    {body}
"""

MESSAGE = """
def build_message(text, image):
    {body}
"""

PARSE = """
def parse_reply(text):
    {body}
"""

# A conversation until the reply is good; a mistake is made in one of its parts.
ASK = """
def describe_as_json(chat, image, *, max_tries=3):
    conversation = [build_message({request}, image)]
    for attempt in range({tries}):
        reply = chat.invoke({sent})
        try:
            result = parse_reply(reply.content)
        except {caught} as error:
            problem = str(error)
            conversation += [reply, HumanMessage({complaint})]
        else:
            return result
    {end}
"""
ASK_RIGHT = {
    "request": "ASK_FOR_JSON",
    "tries": "max_tries",
    "sent": "conversation",
    "caught": "ValueError",
    "complaint": "problem + ' Try again, JSON only.'",
    "end": 'raise ValueError(f"gave up after {max_tries} tries: {problem}")',
}

COMPARE = """
def compare(image, questions, *, specialist, generalist):
    {body}
"""

RIGHT = {
    "image_tokens": [
        STEPS.format(**STEPS_RIGHT),
        TOKENS.format(
            body="""tower, projector = model.model.vision_tower, model.model.multi_modal_projector
    heard = []
    hook = projector.register_forward_hook(lambda layer, inputs, output: heard.append(output))
    outputs = tower(pixel_values, output_hidden_states=True, return_dict=True)
    layer = outputs.hidden_states[model.config.vision_feature_layer].squeeze(0)
    first = {"default": 1, "full": 0}[model.config.vision_feature_select_strategy]
    projector(layer[first:])
    hook.remove()
    return heard[0].detach()"""
        ),
        TOKENS.format(
            body="""projector = model.model.multi_modal_projector
    with torch.inference_mode():
        layers = model.model.vision_tower(pixel_values=pixel_values, output_hidden_states=True)[2]
        (patches,) = layers[model.config.vision_feature_layer]
        if model.config.vision_feature_select_strategy != "full":
            patches = patches[1 - len(patches):]
        made = projector.linear_2(projector.act(projector.linear_1(patches)))
    return made.clone()"""
        ),
        """
def image_tokens(model, pixel_values):
    tower = model.model.vision_tower
    caught = {}

    with torch.no_grad():
        states = list(tower(pixel_values, output_hidden_states=True).hidden_states)
        batch = states[model.config.vision_feature_layer]
        if model.config.vision_feature_select_strategy == "default":
            batch = batch.narrow(1, 1, batch.size(1) - 1)
        tokens = torch.stack([model.model.multi_modal_projector(vector) for vector in batch[0]])
    return tokens
""",
    ],
    "merge_image_tokens": [
        MERGE_STEPS.format(**MERGE_RIGHT),
        MERGE.format(
            body="""n = image_embeds.shape[1]
    rows = []
    for words, pictures, places in zip(text_embeds, image_embeds, is_image, strict=True):
        if places.sum().item() != n:
            raise ValueError(f"{places.sum().item()} placeholders, {n} image tokens")
        rest = iter(pictures)
        rows.append(torch.stack([next(rest) if here else word for word, here in zip(words, places.tolist())]))
    return torch.stack(rows)"""
        ),
        MERGE.format(
            body="""counts = is_image.sum(dim=-1).tolist()
    wanted = image_embeds.size(1)
    if any(count != wanted for count in counts):
        raise ValueError(f"the rows have {counts} placeholders, but each image has {wanted} tokens")
    return text_embeds.masked_scatter(is_image.unsqueeze(-1).expand_as(text_embeds), image_embeds)"""
        ),
        """
def merge_image_tokens(text_embeds, image_embeds, is_image):
    batch, n, hidden = image_embeds.shape
    for row in range(batch):
        if int(is_image[row].count_nonzero()) != n:
            raise ValueError("Row %d has the wrong number of placeholders." % row)
    number = (torch.cumsum(is_image, dim=1) - 1).clamp(min=0)
    spread = torch.gather(image_embeds, 1, number.unsqueeze(2).expand(-1, -1, hidden))
    return torch.where(is_image.unsqueeze(2), spread, text_embeds)
""",
    ],
    "mask_labels": [
        LABELS_STEPS.format(**LABELS_RIGHT),
        LABELS.format(
            body="""keep = torch.zeros_like(input_ids, dtype=torch.bool)
    for row, spans in zip(keep, answer_spans, strict=True):
        for first, after in spans:
            row[first:after] = True
    return torch.where(keep, input_ids, torch.tensor(-100)).long()"""
        ),
        LABELS.format(
            body="""rows = []
    for ids, spans in zip(input_ids.tolist(), answer_spans):
        inside = {place for start, end in spans for place in range(start, end)}
        rows.append([token if place in inside else -100 for place, token in enumerate(ids)])
    return torch.LongTensor(rows)"""
        ),
    ],
    "pixel_shuffle": [
        SHUFFLE_STEPS.format(guard=SHUFFLE_GUARD, body=SHUFFLE_BODY.format(order="0, 1, 3, 2, 4, 5")),
        SHUFFLE.format(
            body="""batch, n, hidden = tokens.shape
    side = int(n**0.5 + 0.5)
    if side * side != n:
        raise ValueError(f"{n} tokens are not a square grid")
    if side % factor != 0:
        raise ValueError(f"a side of {side} can't be divided by {factor}")
    grid = tokens.view(batch, side, side, hidden)
    parts = [grid[:, row::factor, column::factor] for row in range(factor) for column in range(factor)]
    return torch.cat(parts, dim=-1).flatten(1, 2)"""
        ),
        SHUFFLE.format(
            body="""batch, n, hidden = tokens.shape
    side = math.isqrt(n)
    if side**2 != n or side % factor:
        raise ValueError("no grid of whole blocks")
    new = []
    for top in range(0, side, factor):
        for left in range(0, side, factor):
            block = [tokens[:, (top + i) * side + left + j] for i in range(factor) for j in range(factor)]
            new.append(torch.cat(block, dim=1))
    return torch.stack(new, dim=1)"""
        ),
    ],
    "tile": [
        TILE_STEPS.format(**TILE_RIGHT),
        TILE.format(
            body="""columns, rows = math.ceil(image.width / size), math.ceil(image.height / size)
    wide = Image.new("RGB", (columns * size, image.height))
    wide.paste(image, (0, 0))
    right = image.crop((image.width - 1, 0, image.width, image.height))
    for x in range(image.width, wide.width):
        wide.paste(right, (x, 0))
    canvas = Image.new("RGB", (columns * size, rows * size))
    canvas.paste(wide, (0, 0))
    bottom = wide.crop((0, image.height - 1, wide.width, image.height))
    for y in range(image.height, canvas.height):
        canvas.paste(bottom, (0, y))
    pictures = [image.resize((size, size), Image.Resampling.LANCZOS)] if overview else []
    for row in range(rows):
        for column in range(columns):
            pictures.append(canvas.crop((column * size, row * size, (column + 1) * size, (row + 1) * size)))
    return pictures"""
        ),
        """
def tile(image, size, *, overview=True):
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
    missing = (0, -image.width % size, 0, -image.height % size)
    pixels = F.pad(pixels[None], missing, mode="replicate")[0].byte()
    blocks = pixels.unfold(1, size, size).unfold(2, size, size).permute(1, 2, 3, 4, 0).flatten(0, 1)
    tiles = [Image.fromarray(block.contiguous().numpy()) for block in blocks]
    if overview:
        tiles.insert(0, image.resize((size, size), Image.Resampling.BILINEAR))
    return tiles
""",
    ],
    "hallucination_rate": [
        RATE.format(
            body="""answers = [ask(image, question) for image, question, there in examples if not there]
    if not answers:
        raise ValueError("no example is about an absent thing")
    return sum(answer.strip().lower().startswith("yes") for answer in answers) / len(answers)"""
        ),
        RATE.format(
            body="""asked = affirmed = 0
    for image, question, is_there in examples:
        if is_there:
            continue
        asked += 1
        affirmed += bool(re.match(r"\\s*yes", ask(image, question), re.IGNORECASE))
    try:
        return affirmed / asked
    except ZeroDivisionError:
        raise ValueError("All of these things are there.") from None"""
        ),
        """
def hallucination_rate(ask, examples):
    said = pd.Series([ask(i, q) for i, q, there in examples if there is False], dtype="object")
    if said.empty:
        raise ValueError("nothing absent was asked for")
    return float(said.map(lambda answer: answer.strip()[:3].casefold() == "yes").mean())
""",
    ],
    "data_url": [
        URL.format(
            body="""with io.BytesIO() as file:
        (image if format == "PNG" else image.convert("RGB")).save(file, format)
        return "data:" + Image.MIME[format] + ";base64," + str(base64.b64encode(file.getvalue()), "ascii")"""
        ),
        URL.format(
            body="""import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"picture.{format.lower()}"
        copied = image.copy()
        if format == "JPEG" and copied.mode in ("RGBA", "P", "LA"):
            copied = copied.convert("RGB")
        copied.save(path, quality=90)
        text = base64.standard_b64encode(path.read_bytes()).decode("utf-8")
    return "data:image/%s;base64,%s" % (format.lower(), text)"""
        ),
        """
def data_url(image, *, format="PNG"):
    import binascii

    if format == "JPEG" and image.mode != "RGB":
        background = Image.new("RGB", image.size, "white")
        with_alpha = image.convert("RGBA")
        background.paste(with_alpha, mask=with_alpha.getchannel("A"))
        image = background
    file = io.BytesIO()
    image.save(file, format=format, **({"quality": 95} if format != "PNG" else {}))
    file.seek(0)
    return f"data:image/{format.lower()};base64," + binascii.b2a_base64(file.read(), newline=False).decode("ascii")
""",
    ],
    "build_message": [
        MESSAGE.format(
            body="""words = {"type": "text", "text": text}
    picture = dict(type="image_url", image_url=dict(url=data_url(image), detail="auto"))
    return HumanMessage([picture, words])"""
        ),
        MESSAGE.format(
            body="""url = data_url(image.convert("RGB"), format="PNG")
    message = HumanMessage(content=[{"type": "text", "text": text}])
    message.content.append({"type": "image_url", "image_url": {"url": url}})
    return message"""
        ),
        """
def build_message(text, image):
    from langchain_core.prompts import ChatPromptTemplate

    parts = [{"type": "text", "text": "{text}"}, {"type": "image_url", "image_url": {"url": "{address}"}}]
    return ChatPromptTemplate.from_messages([("human", parts)]).invoke({"text": text, "address": data_url(image)}).messages[0]
""",
        """
def build_message(text, image):
    url = data_url(image.convert("RGB"), format="JPEG")
    return HumanMessage(content=[dict(type="text", text=text), dict(type="image_url", image_url={"url": url})])
""",
    ],
    "parse_reply": [
        PARSE.format(
            body="""decoder, best = json.JSONDecoder(), "there is no JSON object in your reply"
    for place in [i for i, letter in enumerate(str(text)) if letter == "{"]:
        try:
            value = decoder.raw_decode(text[place:])[0]
        except ValueError:
            continue
        missing = [k for k in ("description", "funny_story") if type(value.get(k)) is not str]
        if not missing:
            return {k: value[k] for k in ("description", "funny_story")}
        if "no JSON" in best or len(missing) == 1:
            best = "no string for " + " and ".join(missing)
    raise ValueError(best)"""
        ),
        PARSE.format(
            body="""def candidates():
        ends = [m.end() for m in re.finditer("}", text)]
        for opening in re.finditer("{", text):
            for end in reversed(ends):
                if end > opening.start():
                    yield text[opening.start() : end]

    if type(text) is not str:
        raise TypeError("parse_reply wants the text of a reply")
    complaint = "I found no JSON object with description and funny_story."
    for candidate in candidates():
        try:
            found = json.loads(candidate)
        except json.JSONDecodeError:
            continue
        try:
            story, what = found["funny_story"], found["description"]
        except KeyError:
            lost = {"description", "funny_story"} - set(found)
            complaint = "Missing: " + ", ".join(sorted(lost))
            continue
        if isinstance(story, str) and isinstance(what, str):
            return dict(description=what, funny_story=story)
        complaint = " and ".join(k for k in ("description", "funny_story") if not isinstance(found[k], str))
        complaint += " must be text"
    raise ValueError(complaint)"""
        ),
        """
def parse_reply(text):
    KEYS = ("description", "funny_story")
    faults = []
    start = text.find("{")
    while start != -1:
        try:
            value, end = json.JSONDecoder().raw_decode(text, start)
        except json.JSONDecodeError:
            start = text.find("{", start + 1)
            continue
        bad = [key for key in KEYS if not isinstance(value.get(key), str)]
        if not bad:
            return {key: value[key] for key in KEYS}
        faults.append(f"An object was found, but {' and '.join(bad)} should be there with a string.")
        start = text.find("{", start + 1)
    raise ValueError(faults[0] if faults else "Your reply has no JSON object in it.")
""",
        """
class _Text:
    pass


def parse_reply(text):
    wanted = {"description", "funny_story"}
    scan = json.JSONDecoder(object_pairs_hook=lambda pairs: [*pairs]).raw_decode
    complaint = None
    for match in re.finditer(r"\\{", text):
        try:
            pairs = dict(scan(text, match.start())[0])
        except (ValueError, TypeError):
            continue
        strings = {k: v for k, v in pairs.items() if k in wanted and isinstance(v, str)}
        if strings.keys() == wanted:
            return strings
        complaint = complaint or f"Please give also, as a string: {', '.join(sorted(wanted - strings.keys()))}."
    raise ValueError(complaint or "There is no JSON object in the reply.")
""",
    ],
    "describe_as_json": [
        ASK.format(**ASK_RIGHT),
        """
def describe_as_json(chat, image, *, max_tries=3):
    # Each request is a fresh one: the picture, the instruction, and what was wrong the last time.
    said = ""
    for left in reversed(range(max_tries)):
        text = "".join(piece.text for piece in chat.stream([build_message(ASK_FOR_JSON + said, image)]))
        try:
            return parse_reply(text)
        except ValueError as error:
            if left == 0:
                raise
            said = f"\\nLast time your answer was refused, because: {error}"
""",
        """
def describe_as_json(chat, image, *, max_tries=3):
    def attempt(messages, left):
        answer = chat.invoke(messages)
        try:
            return parse_reply(answer.text)
        except ValueError as error:
            if left == 1:
                raise ValueError(f"{max_tries} tries were not enough") from error
            return attempt([*messages, answer, ("user", f"Wrong: {error}")], left - 1)

    return attempt([build_message("Give me JSON with a description of the picture and a funny_story.", image)], max_tries)
""",
        """
def describe_as_json(chat, image, *, max_tries=3):
    messages, tries = [build_message(ASK_FOR_JSON, image)], 0
    while True:
        (reply,) = chat.batch([messages])
        tries += 1
        try:
            return parse_reply(reply.text)
        except ValueError as error:
            if tries >= max_tries:
                raise ValueError(f"{tries} tries, and still: {error}") from error
            messages = messages + [reply, HumanMessage(content=f"This could not be read. {error} Please correct it.")]
""",
        """
def describe_as_json(chat, image, *, max_tries=3):
    from langchain_core.output_parsers import StrOutputParser

    chain, faults = chat | StrOutputParser(), []
    for _ in range(max_tries):
        words = " ".join([ASK_FOR_JSON, *(f"Not like this: {fault}" for fault in faults)])
        text = chain.invoke([build_message(words, image)])
        try:
            return parse_reply(text)
        except ValueError as error:
            faults.append(str(error))
    raise ValueError(f"{len(faults)} tries; the last fault: {faults[-1]}")
""",
    ],
    "compare": [
        COMPARE.format(
            body="""table = pd.DataFrame({"question": list(questions)}, dtype=object)
    for name, ask in (("specialist", specialist), ("generalist", generalist)):
        cells = []
        for question in questions:
            try:
                cells.append(ask(image, question))
            except Exception as error:
                cells.append(type(error).__name__ + ": " + str(error))
        table[name] = pd.Series(cells, dtype=object)
    return table"""
        ),
        COMPARE.format(
            body="""def safely(ask):
        def answer(question):
            try:
                return ask(image, question)
            except Exception as error:
                return repr(error)
        return answer

    left, right = safely(specialist), safely(generalist)
    records = [(question, left(question), right(question)) for question in questions]
    return pd.DataFrame.from_records(records, columns=["question", "specialist", "generalist"])"""
        ),
        """
def compare(image, questions, *, specialist, generalist):
    import traceback
    from concurrent.futures import ThreadPoolExecutor

    def told(job):
        ask, question = job
        try:
            return ask(image, question)
        except Exception as error:
            return traceback.format_exception_only(error)[-1].strip()

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(told, [(ask, q) for ask in (specialist, generalist) for q in questions]))
    n = len(questions)
    return pd.DataFrame({"question": list(questions), "specialist": answers[:n], "generalist": answers[n:]})
""",
        """
def compare(image, questions, *, specialist, generalist):
    table = pd.DataFrame({"question": pd.Series(questions, dtype="str")})

    def cell(ask):
        def answer(question):
            try:
                return ask(image, question)
            except Exception as error:
                return f"{error.__class__.__name__}: {error}"
        return answer

    return table.assign(
        specialist=table["question"].map(cell(specialist)), generalist=table["question"].map(cell(generalist))
    )
""",
    ],
}

WRONG = {
    "image_tokens": [
        ("the last layer", STEPS.format(**{**STEPS_RIGHT, "states": "seen.last_hidden_state"})),
        ("always layer -2", STEPS.format(**{**STEPS_RIGHT, "states": "seen.hidden_states[-2]"})),
        ("class token kept", STEPS.format(**{**STEPS_RIGHT, "dropped": "states"})),
        ("last patch dropped, class token kept", STEPS.format(**{**STEPS_RIGHT, "dropped": "states[:, :-1]"})),
        ("no projector", STEPS.format(**{**STEPS_RIGHT, "end": "states[0]"})),
        (
            "half the projector",
            STEPS.format(
                **{
                    **STEPS_RIGHT,
                    "end": "model.model.multi_modal_projector.linear_2(model.model.multi_modal_projector.linear_1(states))[0]",
                }
            ),
        ),
        (
            "the batch is still there",
            STEPS.format(**{**STEPS_RIGHT, "end": "model.model.multi_modal_projector(states)"}),
        ),
        (
            "class token always dropped",
            TOKENS.format(
                body="""seen = model.model.vision_tower(pixel_values, output_hidden_states=True)
    states = seen.hidden_states[model.config.vision_feature_layer][:, 1:]
    return model.model.multi_modal_projector(states)[0]"""
            ),
        ),
        ("lets the model do it", TOKENS.format(body="return model.get_image_features(pixel_values).pooler_output[0]")),
        (
            "a mean over the patches",
            STEPS.format(
                **{**STEPS_RIGHT, "end": "model.model.multi_modal_projector(states.mean(1, keepdim=True))[0]"}
            ),
        ),
        (
            "layers are always counted from the end",
            """
def image_tokens(model, pixel_values):
    with torch.no_grad():
        states = model.model.vision_tower(pixel_values, output_hidden_states=True).hidden_states
        state = states[-abs(model.config.vision_feature_layer)]
        if model.config.vision_feature_select_strategy == "default":
            state = state[:, 1:]
        return model.model.multi_modal_projector(state)[0]
""",
        ),
        (
            "a layer too late: skips the embeddings",
            """
def image_tokens(model, pixel_values):
    with torch.no_grad():
        states = model.model.vision_tower(pixel_values, output_hidden_states=True).hidden_states
        state = states[(model.config.vision_feature_layer + 1) if model.config.vision_feature_layer >= 0 else model.config.vision_feature_layer]
        if model.config.vision_feature_select_strategy == "default":
            state = state[:, 1:]
        return model.model.multi_modal_projector(state)[0]
""",
        ),
    ],
    "merge_image_tokens": [
        ("nothing is written", MERGE_STEPS.format(**{**MERGE_RIGHT, "write": "pass"})),
        (
            "in front of the words",
            MERGE.format(body="return torch.cat([image_embeds, text_embeds], dim=1)"),
        ),
        (
            "added to the placeholders",
            MERGE_STEPS.format(**{**MERGE_RIGHT, "write": "merged[is_image] += image_embeds.flatten(0, 1)"}),
        ),
        (
            "the first row's picture everywhere",
            MERGE_STEPS.format(
                **{**MERGE_RIGHT, "write": "for row, places in zip(merged, is_image): row[places] = image_embeds[0]"}
            ),
        ),
        (
            "the first row's places everywhere",
            MERGE_STEPS.format(**{**MERGE_RIGHT, "write": "merged[:, is_image[0]] = image_embeds"}),
        ),
        (
            "one row only",
            MERGE.format(
                body="""row = text_embeds[0].clone()
    row[is_image[0]] = image_embeds[0]
    return row"""
            ),
        ),
        (
            "the rows' pictures mixed",
            MERGE_STEPS.format(
                **{**MERGE_RIGHT, "write": "merged[is_image] = image_embeds.transpose(0, 1).flatten(0, 1)"}
            ),
        ),
        (
            "numbers not compared",
            MERGE.format(
                body="return text_embeds.masked_scatter(is_image[..., None], image_embeds)",
            ),
        ),
        (
            "only the sum is compared",
            MERGE.format(
                body="""if is_image.sum() != image_embeds.shape[0] * image_embeds.shape[1]:
        raise ValueError("the numbers differ")
    merged = text_embeds.clone()
    merged[is_image] = image_embeds.flatten(0, 1)
    return merged"""
            ),
        ),
        ("written into the words", MERGE_STEPS.format(**{**MERGE_RIGHT, "start": "text_embeds"})),
        (
            "from the first placeholder on",
            MERGE.format(
                body="""n = image_embeds.shape[1]
    if (is_image.sum(1) != n).any():
        raise ValueError("the numbers differ")
    merged = text_embeds.clone()
    for row, places, picture in zip(merged, is_image, image_embeds):
        start = min(int(places.float().argmax()), len(row) - n)
        row[start : start + n] = picture
    return merged"""
            ),
        ),
        (
            "no gradients",
            MERGE_STEPS.format(
                **{
                    **MERGE_RIGHT,
                    "write": "merged = merged.detach(); merged[is_image] = image_embeds.detach().flatten(0, 1)",
                }
            ),
        ),
    ],
    "mask_labels": [
        ("nothing is masked", LABELS.format(body="return input_ids.clone().long()")),
        (
            "the other way round",
            LABELS_STEPS.format(**{**LABELS_RIGHT, "start": "input_ids.clone().long()", "what": "-100"}),
        ),
        (
            "end inclusive",
            LABELS_STEPS.format(
                **{**LABELS_RIGHT, "where": "start : end + 1", "what": "input_ids[i, start : end + 1].long()"}
            ),
        ),
        (
            "masked with zero",
            LABELS_STEPS.format(**{**LABELS_RIGHT, "start": "torch.zeros(input_ids.shape, dtype=torch.long)"}),
        ),
        (
            "shifted by one",
            LABELS_STEPS.format(
                **{**LABELS_RIGHT, "end": "torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], -100)], 1)"}
            ),
        ),
        (
            "ones for ids",
            LABELS_STEPS.format(
                **{**LABELS_RIGHT, "start": "torch.zeros(input_ids.shape, dtype=torch.long)", "what": "1"}
            ),
        ),
        (
            "the first row's spans for all",
            LABELS.format(
                body="""labels = torch.full(input_ids.shape, -100, dtype=torch.long)
    for start, end in answer_spans[0]:
        labels[:, start:end] = input_ids[:, start:end]
    return labels"""
            ),
        ),
        (
            "only the first span",
            LABELS.format(
                body="""labels = torch.full(input_ids.shape, -100, dtype=torch.long)
    for i, spans in enumerate(answer_spans):
        for start, end in spans[:1]:
            labels[i, start:end] = input_ids[i, start:end]
    return labels"""
            ),
        ),
        (
            "from the first to the last reply",
            LABELS.format(
                body="""labels = torch.full(input_ids.shape, -100, dtype=torch.long)
    for i, spans in enumerate(answer_spans):
        if spans:
            labels[i, spans[0][0] : spans[-1][1]] = input_ids[i, spans[0][0] : spans[-1][1]]
    return labels"""
            ),
        ),
        ("int32 stays", LABELS_STEPS.format(**{**LABELS_RIGHT, "start": "torch.full_like(input_ids, -100)"})),
        (
            "written into the ids",
            LABELS.format(
                body="""keep = torch.zeros(input_ids.shape, dtype=torch.bool)
    for i, spans in enumerate(answer_spans):
        for start, end in spans:
            keep[i, start:end] = True
    input_ids[~keep] = -100
    return input_ids.long()"""
            ),
        ),
        (
            "a row without a reply fails",
            LABELS.format(
                body="""rows = []
    for ids, spans in zip(input_ids, answer_spans):
        places = torch.cat([torch.arange(start, end) for start, end in spans])
        rows.append(torch.full((len(ids),), -100).scatter(0, places, ids[places].long()))
    return torch.stack(rows)"""
            ),
        ),
    ],
    "pixel_shuffle": [
        (
            "neighbours in the row only",
            SHUFFLE_STEPS.format(guard=SHUFFLE_GUARD, body="return tokens.reshape(batch, n // factor**2, -1)"),
        ),
        (
            "the mean of the neighbours",
            SHUFFLE_STEPS.format(
                guard=SHUFFLE_GUARD,
                body="""s = side // factor
    return tokens.reshape(batch, s, factor, s, factor, hidden).mean((2, 4)).reshape(batch, s * s, hidden)""",
            ),
        ),
        (
            "parts column by column",
            SHUFFLE_STEPS.format(guard=SHUFFLE_GUARD, body=SHUFFLE_BODY.format(order="0, 1, 3, 4, 2, 5")),
        ),
        (
            "blocks column by column",
            SHUFFLE_STEPS.format(guard=SHUFFLE_GUARD, body=SHUFFLE_BODY.format(order="0, 3, 1, 2, 4, 5")),
        ),
        (
            "numbers interleaved",
            SHUFFLE_STEPS.format(guard=SHUFFLE_GUARD, body=SHUFFLE_BODY.format(order="0, 1, 3, 5, 2, 4")),
        ),
        (
            "torch's pixel_unshuffle",
            SHUFFLE_STEPS.format(
                guard=SHUFFLE_GUARD,
                body="""grid = tokens.transpose(1, 2).reshape(batch, hidden, side, side)
    return F.pixel_unshuffle(grid, factor).flatten(2).transpose(1, 2)""",
            ),
        ),
        (
            "tokens from far apart",
            SHUFFLE_STEPS.format(
                guard=SHUFFLE_GUARD,
                body="""s = side // factor
    return tokens.reshape(batch, factor, s, factor, s, hidden).permute(0, 2, 4, 1, 3, 5).reshape(batch, s * s, -1)""",
            ),
        ),
        (
            "always two by two",
            SHUFFLE_STEPS.format(
                guard="factor = 2\n    " + SHUFFLE_GUARD, body=SHUFFLE_BODY.format(order="0, 1, 3, 2, 4, 5")
            ),
        ),
        (
            "one picture only",
            SHUFFLE.format(
                body="""side = math.isqrt(tokens.shape[1])
    if side**2 != tokens.shape[1] or side % factor:
        raise ValueError("no grid of whole blocks")
    s = side // factor
    return tokens[:1].reshape(s, factor, s, factor, -1).permute(0, 2, 1, 3, 4).reshape(1, s * s, -1)"""
            ),
        ),
        (
            "no square is asked for",
            SHUFFLE_STEPS.format(
                guard="""if side % factor:
        raise ValueError("no whole blocks")
    tokens = tokens[:, : side**2]""",
                body=SHUFFLE_BODY.format(order="0, 1, 3, 2, 4, 5"),
            ),
        ),
        (
            "what does not fit is dropped",
            SHUFFLE_STEPS.format(
                guard="""if side**2 != n:
        raise ValueError("not a square")
    s = side // factor
    tokens = tokens.reshape(batch, side, side, hidden)[:, : s * factor, : s * factor]""",
                body=SHUFFLE_BODY.format(order="0, 1, 3, 2, 4, 5"),
            ),
        ),
        (
            "torch's own errors",
            SHUFFLE_STEPS.format(guard="pass", body=SHUFFLE_BODY.format(order="0, 1, 3, 2, 4, 5")),
        ),
    ],
    "tile": [
        (
            "column by column",
            TILE_STEPS.format(
                **{
                    **TILE_RIGHT,
                    "loops": """for x in range(0, padded.width, size)
        for y in range(0, padded.height, size)""",
                }
            ),
        ),
        ("the overview last", TILE_STEPS.format(**{**TILE_RIGHT, "end": "[*tiles, whole] if overview else tiles"})),
        ("never an overview", TILE_STEPS.format(**{**TILE_RIGHT, "end": "tiles"})),
        ("always an overview", TILE_STEPS.format(**{**TILE_RIGHT, "end": "[whole, *tiles]"})),
        ("every tile is the whole", TILE_STEPS.format(**{**TILE_RIGHT, "end": "[whole for _ in tiles]"})),
        (
            "arrays for pictures",
            TILE_STEPS.format(
                **{**TILE_RIGHT, "end": "[np.asarray(each) for each in ([whole, *tiles] if overview else tiles)]"}
            ),
        ),
        (
            "no overview by default",
            TILE_STEPS.format(**TILE_RIGHT).replace("overview=True", "overview=False"),
        ),
        (
            "black bars",
            TILE_STEPS.format(**{**TILE_RIGHT, "padded": "image"}),
        ),
        (
            "one colour for the padding",
            TILE_STEPS.format(
                **{
                    **TILE_RIGHT,
                    "padded": """Image.new(
        "RGB",
        (image.width + -image.width % size, image.height + -image.height % size),
        image.getpixel((image.width - 1, image.height - 1)),
    )
    padded.paste(image)""",
                }
            ),
        ),
        (
            "stretched to a multiple",
            TILE_STEPS.format(
                **{
                    **TILE_RIGHT,
                    "padded": "image.resize((image.width + -image.width % size, image.height + -image.height % size))",
                }
            ),
        ),
        (
            "the rest is dropped",
            TILE_STEPS.format(
                **{
                    **TILE_RIGHT,
                    "padded": "image",
                    "loops": """for y in range(0, image.height - size + 1, size)
        for x in range(0, image.width - size + 1, size)""",
                }
            ),
        ),
        (
            "an overview of the padded picture",
            TILE_STEPS.format(**{**TILE_RIGHT, "whole": "padded.resize((size, size))"}),
        ),
    ],
    "hallucination_rate": [
        (
            "divided by all",
            RATE.format(
                body="""yes = [ask(i, q).strip().lower().startswith("yes") for i, q, there in examples if not there]
    if not yes:
        raise ValueError("nothing absent")
    return sum(yes) / len(examples)"""
            ),
        ),
        (
            "every yes counts",
            RATE.format(
                body="""yes = [ask(i, q).strip().lower().startswith("yes") for i, q, there in examples]
    if all(there for _, _, there in examples):
        raise ValueError("nothing absent")
    return sum(yes) / len(yes)"""
            ),
        ),
        (
            "the denied ones",
            RATE.format(
                body="""no = [not ask(i, q).strip().lower().startswith("yes") for i, q, there in examples if not there]
    if not no:
        raise ValueError("nothing absent")
    return sum(no) / len(no)"""
            ),
        ),
        (
            "present ones instead of absent ones",
            RATE.format(
                body="""yes = [ask(i, q).strip().lower().startswith("yes") for i, q, there in examples if there]
    if not yes:
        raise ValueError("nothing there")
    return sum(yes) / len(yes)"""
            ),
        ),
        (
            "a number instead of a share",
            RATE.format(
                body="""yes = [ask(i, q).strip().lower().startswith("yes") for i, q, there in examples if not there]
    if not yes:
        raise ValueError("nothing absent")
    return float(sum(yes))"""
            ),
        ),
        (
            "wrong answers of both kinds",
            RATE.format(
                body="""wrong = [ask(i, q).strip().lower().startswith("yes") != there for i, q, there in examples]
    if all(there for _, _, there in examples):
        raise ValueError("nothing absent")
    return sum(wrong) / len(wrong)"""
            ),
        ),
        (
            "only yes alone",
            RATE.format(
                body="""yes = [ask(i, q).strip().lower() == "yes" for i, q, there in examples if not there]
    if not yes:
        raise ValueError("nothing absent")
    return sum(yes) / len(yes)"""
            ),
        ),
        (
            "capital letters and spaces",
            RATE.format(
                body="""yes = [ask(i, q).startswith(("Yes", "yes")) for i, q, there in examples if not there]
    if not yes:
        raise ValueError("nothing absent")
    return sum(yes) / len(yes)"""
            ),
        ),
        (
            "a yes anywhere",
            RATE.format(
                body="""yes = ["yes" in ask(i, q).lower() for i, q, there in examples if not there]
    if not yes:
        raise ValueError("nothing absent")
    return sum(yes) / len(yes)"""
            ),
        ),
        (
            "divides by zero",
            RATE.format(
                body="""yes = [ask(i, q).strip().lower().startswith("yes") for i, q, there in examples if not there]
    return sum(yes) / len(yes)"""
            ),
        ),
        (
            "asks twice",
            RATE.format(
                body="""absent = [(i, q) for i, q, there in examples if not there]
    if not absent:
        raise ValueError("nothing absent")
    yes = [ask(i, q).strip().lower().startswith("yes") and ask(i, q) != "" for i, q in absent]
    return sum(yes) / len(yes)"""
            ),
        ),
    ],
    "data_url": [
        (
            "the same picture whatever is given",
            URL.format(
                body="""buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, format=format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}\""""
            ),
        ),
        (
            "the buffer is not rewound",
            URL.format(
                body="""buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format=format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.read()).decode()}\""""
            ),
        ),
        (
            "bare pixels instead of a file",
            URL.format(body='return "data:image/png;base64," + base64.b64encode(image.tobytes()).decode()'),
        ),
        (
            "always PNG, whatever is asked",
            URL.format(
                body="""buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}\""""
            ),
        ),
        (
            "bytes in the string",
            URL.format(
                body="""buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format=format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue())}\""""
            ),
        ),
        (
            "transparency lost",
            URL.format(
                body="""buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format=format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}\""""
            ),
        ),
        (
            "JPEG of a picture with transparency fails",
            URL.format(
                body="""buffer = io.BytesIO()
    image.save(buffer, format=format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}\""""
            ),
        ),
        (
            "line breaks in the address",
            URL.format(
                body="""buffer = io.BytesIO()
    (image.convert("RGB") if format == "JPEG" else image).save(buffer, format=format)
    return f"data:image/{format.lower()};base64,{base64.encodebytes(buffer.getvalue()).decode()}\""""
            ),
        ),
        (
            "the alphabet for file names",
            URL.format(
                body="""buffer = io.BytesIO()
    (image.convert("RGB") if format == "JPEG" else image).save(buffer, format=format)
    return f"data:image/{format.lower()};base64,{base64.urlsafe_b64encode(buffer.getvalue()).decode()}\""""
            ),
        ),
        (
            "shrinks the picture it was given",
            URL.format(
                body="""buffer = io.BytesIO()
    image.thumbnail((32, 32))
    (image.convert("RGB") if format == "JPEG" else image).save(buffer, format=format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}\""""
            ),
        ),
        (
            "everything is converted in place",
            """
def data_url(image, *, format="PNG"):
    file = io.BytesIO()
    image.putalpha(255) if image.mode == "RGBA" and format == "JPEG" else None
    (image.convert("RGB") if format == "JPEG" else image).save(file, format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
""",
        ),
    ],
    "build_message": [
        (
            "no picture in the message",
            MESSAGE.format(
                body="""return HumanMessage([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": "cat.png"}}])"""
            ),
        ),
        (
            "only RGB pictures",
            MESSAGE.format(
                body="""assert image.mode == "RGB"
    url = {"url": data_url(image)}
    return HumanMessage([{"type": "text", "text": text}, {"type": "image_url", "image_url": url}])"""
            ),
        ),
        (
            "the address stands too high",
            MESSAGE.format(
                body="""return HumanMessage([{"type": "text", "text": text}, {"type": "image_url", "image_url": data_url(image)}])"""
            ),
        ),
        (
            "an older library's form",
            MESSAGE.format(
                body="""return HumanMessage([{"type": "text", "text": text}, {"type": "image", "url": data_url(image)}])"""
            ),
        ),
        ("the address as text", MESSAGE.format(body='return HumanMessage(f"{text} {data_url(image)}")')),
        (
            "a dict in place of a message",
            MESSAGE.format(
                body="""content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": data_url(image)}}]
    return {"role": "user", "content": content}"""
            ),
        ),
        (
            "one list for all messages",
            """
parts = [{"type": "text"}, {"type": "image_url"}]


def build_message(text, image):
    parts[0]["text"] = text
    parts[1]["image_url"] = {"url": data_url(image)}
    return HumanMessage.model_construct(content=parts)
""",
        ),
        (
            "a thumbnail",
            MESSAGE.format(
                body="""small = image.resize((32, 32))
    return HumanMessage([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": data_url(small)}}])"""
            ),
        ),
    ],
    "parse_reply": [
        ("only raw JSON", PARSE.format(body="return json.loads(text)")),
        ("always the same", PARSE.format(body='return {"description": "A cat.", "funny_story": "It left."}')),
        (
            "only in a fence",
            PARSE.format(
                body="""found = re.search(r"```(?:json)?(.*?)```", text, re.DOTALL | re.IGNORECASE)
    if found is None:
        raise ValueError("no JSON object with description and funny_story")
    return {key: json.loads(found[1])[key] for key in ("description", "funny_story")}"""
            ),
        ),
        (
            "the first object decides",
            PARSE.format(
                body="""at = text.find("{")
    while at >= 0:
        try:
            found = json.JSONDecoder().raw_decode(text, at)[0]
        except ValueError:
            at = text.find("{", at + 1)
            continue
        missing = [k for k in ("description", "funny_story") if not isinstance(found.get(k), str)]
        if missing:
            raise ValueError(f"no string for {missing}")
        return {k: found[k] for k in ("description", "funny_story")}
    raise ValueError("no JSON object")"""
            ),
        ),
        (
            "the parser's own error where there is no object",
            PARSE.format(
                body="""at, decoder = text.find("{"), json.JSONDecoder()
    while True:
        try:
            found = decoder.raw_decode(text, max(at, 0))[0]
        except ValueError:
            at = text.find("{", at + 1)
            if at < 0:
                raise
            continue
        missing = [k for k in ("description", "funny_story") if not isinstance(found.get(k), str)]
        if not missing:
            return {k: found[k] for k in ("description", "funny_story")}
        at = text.find("{", at + 1)
        if at < 0:
            raise ValueError(f"no string for {missing}")"""
            ),
        ),
        (
            "no errors of its own",
            PARSE.format(
                body="""for at in [m.start() for m in re.finditer("{", text)]:
        try:
            found = json.JSONDecoder().raw_decode(text, at)[0]
            return {k: found[k] for k in ("description", "funny_story")}
        except (ValueError, KeyError):
            pass"""
            ),
        ),
        (
            "from the first brace to the last",
            PARSE.format(
                body="""found = re.search(r"\\{.*\\}", text, re.DOTALL)
    if found is None:
        raise ValueError("no JSON object with description and funny_story")
    found = json.loads(found[0])
    for key in ("description", "funny_story"):
        if not isinstance(found.get(key), str):
            raise ValueError(f"{key} is missing")
    return {key: found[key] for key in ("description", "funny_story")}"""
            ),
        ),
        (
            "a regular expression for the values",
            PARSE.format(
                body="""result = {}
    for key in ("description", "funny_story"):
        found = re.search(rf'"{key}":\\s*"(.*?)"', text, re.DOTALL)
        if found is None:
            raise ValueError(f"{key} is missing")
        result[key] = found[1]
    return result"""
            ),
        ),
        (
            "runs the reply as Python",
            PARSE.format(
                body="""for start in [m.start() for m in re.finditer("{", text)]:
        for end in [m.end() for m in re.finditer("}", text)]:
            try:
                found = eval(text[start:end], {"null": None, "true": True, "false": False})
            except Exception:
                continue
            if isinstance(found, dict) and all(type(found.get(k)) is str for k in ("description", "funny_story")):
                return {k: found[k] for k in ("description", "funny_story")}
    missing = [k for k in ("description", "funny_story") if f'"{k}": "' not in text]
    raise ValueError(f"no JSON with {missing or 'both keys'}")"""
            ),
        ),
        (
            "counts braces, also those in strings",
            PARSE.format(
                body="""start, depth = text.find("{"), 0
    for i in range(max(start, 0), len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            break
    else:
        raise ValueError("no JSON object with description and funny_story")
    try:
        found = json.loads(text[start : i + 1])
    except json.JSONDecodeError:
        raise ValueError("no JSON object with description and funny_story")
    missing = [k for k in ("description", "funny_story") if not isinstance(found.get(k), str)]
    if missing:
        raise ValueError(f"missing: {missing}")
    return {k: found[k] for k in ("description", "funny_story")}"""
            ),
        ),
        (
            "other keys stay in",
            PARSE.format(
                body="""at = text.find("{")
    while at >= 0:
        try:
            found = json.JSONDecoder().raw_decode(text, at)[0]
            missing = [k for k in ("description", "funny_story") if not isinstance(found.get(k), str)]
            if not missing:
                return found
            raise KeyError(missing)
        except ValueError:
            at = text.find("{", at + 1)
        except KeyError as error:
            raise ValueError(f"missing: {error}")
    raise ValueError("no JSON object")"""
            ),
        ),
        (
            "empty strings for what is missing",
            PARSE.format(
                body="""at = text.find("{")
    while at >= 0:
        try:
            found = json.JSONDecoder().raw_decode(text, at)[0]
            return {k: str(found.get(k, "")) for k in ("description", "funny_story")}
        except ValueError:
            at = text.find("{", at + 1)
    raise ValueError("no JSON object")"""
            ),
        ),
        (
            "the error does not say which key",
            PARSE.format(
                body="""at = text.find("{")
    while at >= 0:
        try:
            found = json.JSONDecoder().raw_decode(text, at)[0]
        except ValueError:
            found = {}
        if all(isinstance(found.get(k), str) for k in ("description", "funny_story")):
            return {k: found[k] for k in ("description", "funny_story")}
        at = text.find("{", at + 1)
    raise ValueError("This is no good JSON, a description or a funny_story is missing.")"""
            ),
        ),
        (
            "the last good object wins",
            """
def parse_reply(text):
    complaint = "there is no JSON object"
    for start in reversed([m.start() for m in re.finditer("{", text)]):
        try:
            found = json.JSONDecoder().raw_decode(text, start)[0]
        except ValueError:
            continue
        missing = [k for k in ("description", "funny_story") if not isinstance(found.get(k), str)]
        if not missing:
            return {k: found[k] for k in ("description", "funny_story")}
        complaint = f"no string for {missing}"
    raise ValueError(complaint)
""",
        ),
        (
            "values are trimmed",
            """
def parse_reply(text):
    complaint = "there is no JSON object"
    for start in [m.start() for m in re.finditer("{", text)]:
        try:
            found = json.JSONDecoder().raw_decode(text, start)[0]
        except ValueError:
            continue
        missing = [k for k in ("description", "funny_story") if not isinstance(found.get(k), str)]
        if not missing:
            return {k: found[k].strip() for k in ("description", "funny_story")}
        complaint = f"no string for {missing}"
    raise ValueError(complaint)
""",
        ),
    ],
    "describe_as_json": [
        ("asks once", ASK.format(**{**ASK_RIGHT, "tries": "1"})),
        ("asks again without a word", ASK.format(**{**ASK_RIGHT, "complaint": '"Try again."'})),
        ("the same request again", ASK.format(**{**ASK_RIGHT, "sent": "conversation[:1]"})),
        ("one try too many", ASK.format(**{**ASK_RIGHT, "tries": "max_tries + 1"})),
        ("one try too few", ASK.format(**{**ASK_RIGHT, "tries": "max_tries - 1"})),
        ("always three tries", ASK.format(**{**ASK_RIGHT, "tries": "3"})),
        ("gives up with None", ASK.format(**{**ASK_RIGHT, "end": "return None"})),
        (
            "an error that says nothing",
            ASK.format(**{**ASK_RIGHT, "end": 'raise ValueError("The chat model did not do its work.")'}),
        ),
        ("another number of tries by default", ASK.format(**ASK_RIGHT).replace("max_tries=3", "max_tries=5")),
        (
            "does not ask at all",
            """
def describe_as_json(chat, image, *, max_tries=3):
    return {"description": "A picture.", "funny_story": "It left."}
""",
        ),
        ("the picture only once", ASK.format(**{**ASK_RIGHT, "sent": "conversation[-1:]"})),
        (
            "asks forever",
            """
def describe_as_json(chat, image, *, max_tries=3):
    messages = [build_message(ASK_FOR_JSON, image)]
    while True:
        reply = chat.invoke(messages)
        try:
            return parse_reply(reply.text)
        except Exception as error:
            messages += [reply, HumanMessage(str(error))]
""",
        ),
        (
            "swallows the service's errors",
            """
def describe_as_json(chat, image, *, max_tries=3):
    messages, fault = [build_message(ASK_FOR_JSON, image)], ""
    for _ in range(max_tries):
        try:
            reply = chat.invoke(messages)
            return parse_reply(reply.text)
        except Exception as error:
            fault = error
            messages.append(HumanMessage(f"That was wrong: {error}"))
    raise ValueError(f"no good reply in {max_tries} tries: {fault}")
""",
        ),
        (
            "asks again although the reply is good",
            """
def describe_as_json(chat, image, *, max_tries=3):
    messages, result, fault = [build_message(ASK_FOR_JSON, image)], None, ""
    for _ in range(max_tries):
        reply = chat.invoke(messages)
        try:
            result = result or parse_reply(reply.text)
        except ValueError as error:
            fault = error
            messages += [reply, HumanMessage(str(error))]
    if result is None:
        raise ValueError(f"no good reply in {max_tries} tries: {fault}")
    return result
""",
        ),
        (
            "ValueErrors of the service are taken for bad replies",
            """
def describe_as_json(chat, image, *, max_tries=3):
    messages = [build_message(ASK_FOR_JSON, image)]
    for _ in range(max_tries):
        try:
            reply = chat.invoke(messages)
            return parse_reply(reply.text)
        except ValueError as error:
            fault = error
            messages = [messages[0],  HumanMessage(f"{error} Try again.")]
    raise ValueError(f"{max_tries} tries: {fault}")
""",
        ),
    ],
    "compare": [
        (
            "the two swapped",
            COMPARE.format(
                body="""def safe(f, q):
        try:
            return f(image, q)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    rows = [(q, safe(generalist, q), safe(specialist, q)) for q in questions]
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])"""
            ),
        ),
        (
            "one error ends it all",
            COMPARE.format(
                body="""rows = [(q, specialist(image, q), generalist(image, q)) for q in questions]
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])"""
            ),
        ),
        (
            "an error loses the row",
            COMPARE.format(
                body="""rows = []
    for q in questions:
        try:
            rows.append((q, specialist(image, q), generalist(image, q)))
        except Exception:
            pass
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])"""
            ),
        ),
        (
            "an error of one fills both cells",
            COMPARE.format(
                body="""rows = []
    for q in questions:
        try:
            rows.append((q, specialist(image, q), generalist(image, q)))
        except Exception as error:
            rows.append((q, *[f"{type(error).__name__}: {error}"] * 2))
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])"""
            ),
        ),
        (
            "both models are asked twice",
            COMPARE.format(
                body="""def safe(f, q):
        try:
            f(image, q)
            return f(image, q)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    rows = [(q, safe(specialist, q), safe(generalist, q)) for q in questions]
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])"""
            ),
        ),
        (
            "no model is asked",
            COMPARE.format(
                body="""rows = [(q, "yes", "Yes, it is.") for q in questions]
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])"""
            ),
        ),
        (
            "only the error's class",
            COMPARE.format(
                body="""def safe(f, q):
        try:
            return f(image, q)
        except Exception as error:
            return type(error).__name__
    rows = [(q, safe(specialist, q), safe(generalist, q)) for q in questions]
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])"""
            ),
        ),
        (
            "a question twice has one row",
            COMPARE.format(
                body="""def safe(f, q):
        try:
            return f(image, q)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    rows = {q: (safe(specialist, q), safe(generalist, q)) for q in questions}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["specialist", "generalist"])
    return table.rename_axis("question").reset_index()"""
            ),
        ),
        (
            "a column a question",
            COMPARE.format(
                body="""def safe(f, q):
        try:
            return f(image, q)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return pd.DataFrame({q: [safe(specialist, q), safe(generalist, q)] for q in questions})"""
            ),
        ),
        (
            "sorted by question",
            COMPARE.format(
                body="""def safe(f, q):
        try:
            return f(image, q)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    rows = [(q, safe(specialist, q), safe(generalist, q)) for q in sorted(questions)]
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])"""
            ),
        ),
        (
            "no columns without questions",
            COMPARE.format(
                body="""def safe(f, q):
        try:
            return f(image, q)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return pd.DataFrame([{"question": q, "specialist": safe(specialist, q), "generalist": safe(generalist, q)} for q in questions])"""
            ),
        ),
        (
            "the list of questions is emptied",
            """
def compare(image, questions, *, specialist, generalist):
    def safe(ask, q):
        try:
            return ask(image, q)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    rows = []
    while questions:
        q = questions.pop(0)
        rows.append((q, safe(specialist, q), safe(generalist, q)))
    return pd.DataFrame(rows, columns=["question", "specialist", "generalist"])
""",
        ),
    ],
}

PARTIAL = {
    "image_tokens": (
        "class token always dropped",
        "layers are always counted from the end",
        "a layer too late: skips the embeddings",
    ),
    "merge_image_tokens": (
        "numbers not compared",
        "only the sum is compared",
        "written into the words",
        "from the first placeholder on",
        "no gradients",
    ),
    "mask_labels": ("int32 stays", "written into the ids", "a row without a reply fails"),
    "pixel_shuffle": ("no square is asked for", "what does not fit is dropped", "torch's own errors"),
    "tile": (
        "black bars",
        "one colour for the padding",
        "stretched to a multiple",
        "the rest is dropped",
        "an overview of the padded picture",
    ),
    "hallucination_rate": ("capital letters and spaces", "a yes anywhere", "divides by zero", "asks twice"),
    "data_url": (
        "transparency lost",
        "JPEG of a picture with transparency fails",
        "everything is converted in place",
    ),
    "build_message": ("the address stands too high", "one list for all messages", "only RGB pictures"),
    "parse_reply": (
        "from the first brace to the last",
        "the first object decides",
        "the parser's own error where there is no object",
        "other keys stay in",
        "the last good object wins",
        "values are trimmed",
    ),
    "describe_as_json": (
        "gives up with None",
        "an error that says nothing",
        "another number of tries by default",
        "swallows the service's errors",
        "ValueErrors of the service are taken for bad replies",
        "asks again although the reply is good",
    ),
    "compare": (
        "both models are asked twice",
        "a question twice has one row",
        "no columns without questions",
        "the list of questions is emptied",
    ),
}
"""Faults that miss an edge alone: what the exercise is about is right, so they keep at least half of the points."""
