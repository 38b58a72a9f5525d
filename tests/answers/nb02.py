"""Answers to the exercises of notebook 02: right ones, written differently, and mistakes that students make.

Each is the whole text of an exercise's cell. It runs after the notebook's set-up cells; another exercise's function
that it calls is there as in the solution.
"""

# The parts of a fetch_image; a mistake is made in one of them.
FETCH = """
def fetch_image(url, *, timeout=10):
    where = url[:80]
    try:
        response = urllib.request.urlopen(url{timeout})
        {announced}
        data = response.read({read})
    except Exception as error:
        raise ValueError(f"Could not fetch {{where}}: {{error}}") from error
    {heavy}
    try:
        image = Image.open(io.BytesIO(data))
        size = image.width * image.height
        {unpacked}
    except Exception as error:
        raise ValueError(f"{{where}} is not an image") from error
    {vast}
    return image{convert}
"""
FETCH_RIGHT = {
    "timeout": ", timeout=timeout",
    "announced": "",
    "read": "20_000_001",
    "heavy": """if len(data) > 20_000_000:
        raise ValueError(f"{where} is larger than the limit of 20 MB")""",
    "unpacked": "image = as_rgb(image) if size <= 25_000_000 else image",
    "vast": """if size > 25_000_000:
        raise ValueError(f"{where} has too many pixels: {size}")""",
    "convert": "",
}

PATCHIFY = """
def patchify(pixel_values, patch_size):
    p = patch_size
    _, height, width = pixel_values.shape
    {body}
"""
NO_REST = """if height % p or width % p:
        raise ValueError("no multiple")
    """

LOSS = """
def contrastive_loss(image_embeds, text_embeds, temperature):
    {body}
"""
LENGTH_1 = """image_embeds = image_embeds / image_embeds.norm(dim=-1, keepdim=True)
    text_embeds = text_embeds / text_embeds.norm(dim=-1, keepdim=True)
    """

ATTEND = """
def attend(q, k, v, mask=None):
    {body}
"""
# The parts of an attend; a mistake is made in one of them.
ATTEND_PARTS = """
def attend(q, k, v, mask=None):
    scores = {scores}
    if mask is not None:
        scores = {masked}
    weights = {weights}
    if mask is not None:
        weights = {cleaned}
    return {result}
"""
ATTEND_RIGHT = {
    "scores": "q @ k.mT / math.sqrt(q.shape[-1])",
    "masked": "scores.masked_fill(~mask, -torch.inf)",
    "weights": "scores.softmax(dim=-1)",
    "cleaned": "weights.masked_fill(~mask, 0)",
    "result": "weights @ v, weights",
}

SIGMOID = """
def sigmoid_loss(image_embeds, text_embeds, temperature, bias):
    {body}
"""
COSINES = "cosines = F.normalize(image_embeds, dim=-1) @ F.normalize(text_embeds, dim=-1).T\n    "
LABELS = "labels = 2 * torch.eye(len(cosines)) - 1\n    "

ZERO_SHOT = """
@torch.no_grad()
def zero_shot(image, labels):
    model, processor = load("clip")
    inputs = processor(text=labels, images=image, padding=True, truncation=True, return_tensors="pt")
    output = model(**inputs)
    {body}
"""

ASK = """
@torch.no_grad()
def ask(image, question):
    model, processor = load("vqa")
    inputs = processor({inputs}, return_tensors="pt")
    logits = model(**inputs).logits[0]
    {body}
"""
ASK_INPUTS = 'image.convert("RGB"), question'

ACCURACY = """
def vqa_accuracy(examples):
    {body}
"""

# The parts of a probe; a mistake is made in one of them.
PROBE = """
def train_head(features, answers, *, steps={steps}):
    n = int(answers.max()) + 1
    torch.manual_seed(0)
    {before}
    head = {head}
    optimizer = torch.optim.AdamW({trained}, lr={rate})
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(head(features), answers).backward()
        {step}
    return {result}
"""
PROBE_RIGHT = {
    "steps": "200",
    "before": "",
    "head": "torch.nn.Linear(features.shape[1], n)",
    "trained": "head.parameters()",
    "rate": "0.03",
    "step": "optimizer.step()",
    "result": "head",
}

RIGHT = {
    "fetch_image": [
        FETCH.format(**FETCH_RIGHT),
        """
def fetch_image(url, *, timeout=10):
    request = urllib.request.Request(url, headers={"User-Agent": "a student"})
    chunks, total = [], 0
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            while chunk := response.read(65536):
                chunks.append(chunk)
                total += len(chunk)
                if total > 20_000_000:
                    raise ValueError(f"{url}: more than 20 million bytes")
    except OSError as error:  # its own words say 404 and "timed out"
        raise ValueError(str(error))
    try:
        with Image.open(io.BytesIO(b"".join(chunks))) as picture:
            width, height = picture.size
            if width * height <= 25_000_000:
                return as_rgb(picture)
    except (OSError, SyntaxError):
        raise ValueError(f"{url[:100]} holds no picture") from None
    raise ValueError(f"{url}: {width} x {height} pixels are more than 25 million")
""",
        """
def fetch_image(url, *, timeout=10):
    import base64
    from urllib.parse import unquote_to_bytes, urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(url)
    try:
        if parts.scheme == "data":
            header, _, text = url.partition(",")
            data = unquote_to_bytes(text)
            data = base64.b64decode(data) if header.endswith(";base64") else data
        elif parts.scheme == "file":
            data = Path(url2pathname(parts.path)).read_bytes()
        elif parts.scheme in ("http", "https"):
            with urllib.request.urlopen(url, None, timeout) as answer:
                data = answer.read(MAX_BYTES + 1)
        else:
            raise ValueError(f"unknown kind of address: {url}")
    except OSError as error:
        raise ValueError(f"{url} gave no picture ({error})")
    if len(data) > MAX_BYTES:
        raise ValueError("too big")
    try:
        picture = Image.open(io.BytesIO(data))
    except Exception:
        raise ValueError("these bytes are no image")
    if picture.size[0] * picture.size[1] > MAX_PIXELS:
        raise ValueError("too many pixels")
    try:
        picture.load()
    except (OSError, SyntaxError) as error:
        raise ValueError(f"a damaged image: {error}")
    return as_rgb(picture)


MAX_BYTES, MAX_PIXELS = 20_000_000, 25_000_000
""",
        """
import warnings


def fetch_image(url, *, timeout=10):
    import httpx

    data = b""
    try:
        if url.startswith("http"):
            with httpx.stream("GET", url, timeout=timeout, follow_redirects=True) as answer:
                answer.raise_for_status()
                for piece in answer.iter_bytes():
                    data += piece
                    if len(data) > MAX_BYTES:
                        break
        else:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                data = answer.read(MAX_BYTES + 1)
    except httpx.HTTPStatusError as error:
        raise ValueError(f"The server answered with status {error.response.status_code}.") from None
    except httpx.TimeoutException:
        raise ValueError(f"No answer within {timeout} seconds.") from None
    except (httpx.HTTPError, OSError) as error:
        raise ValueError(f"Nothing came from there: {error}") from error
    if len(data) > MAX_BYTES:
        raise ValueError(f"The file has more than {MAX_BYTES} bytes.")
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as picture:
                picture.load()
                return as_rgb(picture)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueError(f"The picture has more than {MAX_PIXELS} pixels.") from None
    except Exception as error:
        raise ValueError("What came is no picture that Pillow can read.") from error
    finally:
        Image.MAX_IMAGE_PIXELS = before


MAX_BYTES = 20_000_000
MAX_PIXELS = 25_000_000
""",
        """
def fetch_image(url, *, timeout=10):
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            data = answer.read(MAX_BYTES + 1)
    except TimeoutError as error:
        raise ValueError("The server took too long to answer.") from error
    except urllib.error.HTTPError as error:
        raise ValueError(f"The server says {error.code}.") from error
    except OSError as error:
        raise ValueError(f"No connection: {error}") from error
    if len(data) > MAX_BYTES:
        raise ValueError("The file is too large.")
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise OverflowError
        return as_rgb(image)
    except OverflowError:
        raise ValueError("The picture is too large.") from None
    except Exception as error:
        raise ValueError("There is no picture.") from error


MAX_BYTES, MAX_PIXELS = 20_000_000, 25_000_000
""",
    ],
    "patchify": [
        PATCHIFY.format(body=NO_REST + "return F.unfold(pixel_values[None], p, stride=p)[0].T"),
        PATCHIFY.format(
            body=NO_REST
            + """corners = [(y, x) for y in range(0, height, p) for x in range(0, width, p)]
    return torch.stack([pixel_values[:, y : y + p, x : x + p].flatten() for y, x in corners])"""
        ),
        PATCHIFY.format(
            body=NO_REST
            + """windows = pixel_values.unfold(1, p, p).unfold(2, p, p)  # (3, rows, columns, p, p)
    return windows.flatten(1, 2).transpose(0, 1).flatten(1)"""
        ),
        PATCHIFY.format(
            body="""if divmod(height, p)[1] + divmod(width, p)[1]:
        raise ValueError(f"{height} x {width} is no multiple of {p}")
    blocks = pixel_values.view(3, height // p, p, width // p, p)
    return torch.einsum("cryqx->rqcyx", blocks).reshape(-1, 3 * p * p)"""
        ),
        """
def patchify(pixel_values, patch_size):
    try:
        return F.pixel_unshuffle(pixel_values, patch_size).flatten(1).T
    except RuntimeError:
        raise ValueError(f"{tuple(pixel_values.shape)} can't be cut into patches of {patch_size}") from None
""",
        """
def patchify(pixel_values, patch_size):
    channels, height, width = pixel_values.shape
    if height % patch_size or width % patch_size:
        raise ValueError("the patches don't fit")
    numbers = channels * patch_size**2
    kernel = torch.eye(numbers, dtype=pixel_values.dtype).reshape(numbers, channels, patch_size, patch_size)
    return F.conv2d(pixel_values.unsqueeze(0), kernel, stride=patch_size).squeeze(0).flatten(1).T
""",
    ],
    "contrastive_loss": [
        LOSS.format(
            body=LENGTH_1
            + """s = image_embeds @ text_embeds.T / temperature
    right = s.diag()
    return ((s.logsumexp(0) - right).mean() + (s.logsumexp(1) - right).mean()) * 0.5"""
        ),
        LOSS.format(
            body="""cosines = F.cosine_similarity(text_embeds[:, None], image_embeds[None], dim=-1)
    total = 0
    for i, (row, column) in enumerate(zip(cosines, cosines.T)):
        for logits in (row / temperature, column / temperature):
            total = total - (logits[i] - torch.logsumexp(logits, 0))
    return total / (2 * len(cosines))"""
        ),
        LOSS.format(
            body="""a, b = F.normalize(image_embeds), F.normalize(text_embeds)
    logits = torch.einsum("id,jd->ij", a, b) / temperature
    each = -logits.log_softmax(0).diagonal() - logits.log_softmax(1).diagonal()
    return each.mean() / 2"""
        ),
        """
def contrastive_loss(image_embeds, text_embeds, temperature):
    cosine = torch.nn.CosineSimilarity(dim=-1)
    table = cosine(image_embeds.unsqueeze(1), text_embeds.unsqueeze(0)) / temperature
    target = torch.arange(table.shape[0], device=table.device)
    losses = [F.nll_loss(F.log_softmax(t, dim=1), target) for t in (table, table.mT)]
    return torch.stack(losses).mean()
""",
        """
def contrastive_loss(image_embeds, text_embeds, temperature):
    n = len(image_embeds)
    both = torch.cat([F.normalize(image_embeds, dim=-1), F.normalize(text_embeds, dim=-1)])
    logits = both[:n] @ both[n:].T / temperature
    p_rows, p_columns = torch.log_softmax(logits, 1), torch.log_softmax(logits, 0)
    return -(torch.trace(p_rows) + torch.trace(p_columns)) / (2 * n)
""",
    ],
    "attend": [
        ATTEND_PARTS.format(**ATTEND_RIGHT),
        ATTEND.format(
            body="""scale = q.shape[-1] ** -0.5
    scores = torch.einsum("...nd,...md->...nm", q * scale, k)
    if mask is None:
        weights = F.softmax(scores, dim=-1)
    else:
        weights = F.softmax(torch.where(mask, scores, float("-inf")), dim=-1).nan_to_num(0.0)
    return torch.einsum("...nm,...md->...nd", weights, v), weights"""
        ),
        ATTEND.format(
            body="""scores = torch.matmul(q, k.transpose(-2, -1)).div(k.size(-1) ** 0.5)
    if mask is None:
        mask = torch.ones_like(scores, dtype=torch.bool)
    lowest = torch.finfo(scores.dtype).min
    weights = torch.softmax(scores.masked_fill(mask.logical_not(), lowest), dim=-1) * mask
    return torch.matmul(weights, v), weights"""
        ),
        ATTEND.format(
            body="""scores = q.float() @ k.float().transpose(-1, -2) / q.size(-1) ** 0.5
    scores = scores if q.dtype != torch.float64 else q @ k.transpose(-1, -2) / q.size(-1) ** 0.5
    allowed = torch.ones_like(scores) if mask is None else mask.to(scores.dtype)
    e = torch.exp(scores - scores.amax(-1, keepdim=True)) * allowed
    weights = (e / e.sum(-1, keepdim=True).clamp(min=1e-30)).to(q.dtype)
    return weights @ v, weights"""
        ),
        ATTEND.format(
            body="""scores = (q.unsqueeze(-2) * k.unsqueeze(-3)).sum(-1) / math.sqrt(q.shape[-1])
    if mask is not None:
        nothing = torch.zeros((), dtype=scores.dtype)
        scores = scores + nothing.masked_fill(~mask, -torch.inf)
        empty = ~mask.any(-1, keepdim=True)
        scores = scores.masked_fill(empty, 0)
        weights = scores.log_softmax(-1).exp().masked_fill(empty, 0)
    else:
        weights = scores.log_softmax(-1).exp()
    return (weights.unsqueeze(-1) * v.unsqueeze(-3)).sum(-2), weights"""
        ),
    ],
    "sigmoid_loss": [
        SIGMOID.format(
            body=COSINES
            + """logits = cosines * temperature + bias
    target = torch.eye(len(logits))
    return F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(logits)"""
        ),
        SIGMOID.format(
            body=COSINES + LABELS + """return F.softplus(-labels * (temperature * cosines + bias)).sum(dim=1).mean()"""
        ),
        SIGMOID.format(
            body="""n, total = len(image_embeds), 0
    for i in range(n):
        for j in range(n):
            logit = F.cosine_similarity(image_embeds[i], text_embeds[j], dim=0) * temperature + bias
            total = total - F.logsigmoid(logit if i == j else -logit)
    return total / n"""
        ),
        SIGMOID.format(
            body="""a = image_embeds / image_embeds.norm(dim=1, keepdim=True)
    b = text_embeds / text_embeds.norm(dim=1, keepdim=True)
    logits = torch.einsum("id,jd->ij", a, b) * temperature + bias
    own = torch.eye(len(a), dtype=torch.bool)
    return F.softplus(torch.where(own, -logits, logits)).sum() / len(a)"""
        ),
    ],
    "zero_shot": [
        """
def zero_shot(image, labels):
    cosines = clip.embed_texts(labels) @ clip.embed_images([image])[0]
    logits = torch.from_numpy(cosines) * load("clip").model.logit_scale.exp().item()
    return {label: float(p) for label, p in zip(labels, torch.softmax(logits, dim=0))}
""",
        ZERO_SHOT.format(
            body="""shares = output.logits_per_text[:, 0].exp()
    shares = shares / shares.sum()
    ranked = sorted(zip(labels, shares.tolist()), key=lambda pair: -pair[1])
    return dict(ranked)"""
        ),
        """
def zero_shot(image, labels):
    model, processor = load("clip")
    with torch.inference_mode():
        words = model.get_text_features(**processor(text=labels, padding=True, return_tensors="pt"))
        words = F.normalize(getattr(words, "pooler_output", words), dim=1)
        seen = model.get_image_features(**processor(images=image.convert("RGB"), return_tensors="pt"))
        seen = F.normalize(getattr(seen, "pooler_output", seen), dim=1)
        logits = model.logit_scale.exp() * words @ seen[0]
        return {label: logits.softmax(0)[i].item() for i, label in enumerate(labels)}
""",
        """
def zero_shot(image, labels):
    from transformers import pipeline

    model, processor = load("clip")
    classify = pipeline(
        "zero-shot-image-classification",
        model=model,
        tokenizer=processor.tokenizer,
        image_processor=processor.image_processor,
    )
    found = classify(image, candidate_labels=labels, hypothesis_template="{}")
    return {each["label"]: each["score"] for each in found}
""",
        """
@torch.inference_mode()
def zero_shot(image, labels):
    model, processor = load("clip")
    out = model(**processor(text=labels, images=image.convert("RGB"), padding=True, return_tensors="pt"))
    logits = [x.item() for x in out.logits_per_image.flatten()]
    shares = [math.exp(x - max(logits)) for x in logits]
    return {label: share / sum(shares) for label, share in zip(labels, shares)}
""",
    ],
    "ask": [
        ASK.format(
            inputs=ASK_INPUTS,
            body="""score, best = logits.softmax(-1).max(-1)
    return model.config.id2label[best.item()], float(score)""",
        ),
        ASK.format(
            inputs='images=image.convert("RGB"), text=question, padding=True',
            body="""best = max(range(len(logits)), key=lambda i: logits[i])
    return model.config.id2label[best], 1 / (1 + math.exp(-logits[best].item()))""",
        ),
        """
def ask(image, question):
    specialist = load("vqa")
    inputs = specialist.processor(image.convert("RGB"), question, return_tensors="pt")
    with torch.inference_mode():
        scores = torch.sigmoid(specialist.model(**inputs).logits)
    top = scores.topk(1)
    return specialist.model.config.id2label[int(top.indices)], top.values.item()
""",
        """
def ask(image, question):
    model, processor = load("vqa")
    encoded = processor.tokenizer(question, return_tensors="pt", truncation=True)
    pixels = processor.image_processor(image.convert("RGB"), return_tensors="pt")
    model.eval()
    with torch.no_grad():
        scores = torch.sigmoid(model(**encoded, **pixels).logits).squeeze(0).tolist()
    score = max(scores)
    return model.config.id2label[scores.index(score)], score
""",
    ],
    "vqa_accuracy": [
        ACCURACY.format(
            body="""score, count = 0, 0
    for image, question, answer in examples:
        found, _ = ask(image, question)
        score += found.casefold() == answer.casefold().strip()
        count += 1
    if count == 0:
        raise ValueError("There are no examples.")
    return score / count"""
        ),
        """
@torch.no_grad()
def vqa_accuracy(examples):
    if len(examples) < 1:
        raise ValueError("give me at least one example")
    model, processor = load("vqa")
    images, asked, answers = zip(*examples)
    inputs = processor([image.convert("RGB") for image in images], list(asked), padding=True, return_tensors="pt")
    found = [model.config.id2label[i] for i in model(**inputs).logits.argmax(1).tolist()]
    return sum(a.lower() == b.lower().strip() for a, b in zip(found, answers)) / len(answers)
""",
        """
def vqa_accuracy(examples):
    def normal(word):
        return word.strip().lower()

    hits = [normal(ask(image, question)[0]) == normal(answer) for image, question, answer in examples]
    try:
        return sum(hits) / len(hits)
    except ZeroDivisionError:
        raise ValueError("vqa_accuracy needs at least one example") from None
""",
        """
def vqa_accuracy(examples):
    from statistics import fmean

    if not examples:
        raise ValueError("no examples")
    return fmean(ask(i, q)[0].lower() == a.strip().lower() for i, q, a in examples)
""",
    ],
    "train_head": [
        PROBE.format(**PROBE_RIGHT),
        """
def train_head(features, answers, *, steps=40):
    head = torch.nn.Linear(features.shape[1], answers.max().item() + 1)
    optimizer = torch.optim.LBFGS(head.parameters(), lr=1, max_iter=20)

    def loss():
        optimizer.zero_grad()
        value = F.cross_entropy(head(features), answers) + 1e-4 * head.weight.square().sum()
        value.backward()
        return value

    for _ in range(min(steps, 10)):
        optimizer.step(loss)
    return head
""",
        """
def train_head(features, answers, *, steps=500):
    # least squares on one-hot answers, solved at once
    targets = F.one_hot(answers).float()
    ones = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    weights = torch.linalg.solve(ones.T @ ones + 0.01 * torch.eye(ones.shape[1]), ones.T @ targets)
    head = torch.nn.Linear(features.shape[1], targets.shape[1])
    with torch.no_grad():
        head.weight.copy_(weights[:-1].T)
        head.bias.copy_(weights[-1])
    return head
""",
        """
class Probe(torch.nn.Module):
    def __init__(self, features, n):
        super().__init__()
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("spread", features.std(0) + 1e-6)
        self.linear = torch.nn.Linear(features.shape[1], n)

    def forward(self, features):
        return self.linear((features - self.mean) / self.spread)


def train_head(features, answers, *, steps=150):
    probe = Probe(features, int(answers.max()) + 1)
    optimizer = torch.optim.SGD(probe.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    for step in range(steps):
        loss = F.cross_entropy(probe(features), answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return probe
""",
        """
import copy

def train_head(features, answers, *, steps=300):
    n = answers.max().item() + 1
    head = torch.nn.Linear(features.size(1), n)
    # every fifth row is kept aside, to choose when to stop
    aside = torch.arange(len(features)) % 5 == 0
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    best, kept = -1.0, copy.deepcopy(head.state_dict())
    for _ in range(steps):
        loss = F.cross_entropy(head(features[~aside]), answers[~aside])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            share = (head(features[aside]).argmax(1) == answers[aside]).float().mean().item()
        if share >= best:
            best, kept = share, copy.deepcopy(head.state_dict())
    head.load_state_dict(kept)
    return head
""",
        """
def train_head(features, answers, *, steps=250):
    head = torch.nn.Sequential(torch.nn.Linear(features.shape[-1], int(answers.max()) + 1))
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.1, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(features, answers), batch_size=64, shuffle=True)
    done = 0
    while done < steps:
        for x, y in loader:
            if done == steps:
                break
            optimizer.zero_grad()
            F.cross_entropy(head(x), y, label_smoothing=0.05).backward()
            optimizer.step()
            schedule.step()
            done += 1
    return head.eval()
""",
    ],
}

WRONG = {
    "fetch_image": [
        (
            "no care at all: the library's own errors, no limits",
            """
def fetch_image(url, *, timeout=10):
    return Image.open(urllib.request.urlopen(url, timeout=timeout)).convert("RGB")
""",
        ),
        ("the mode stays as it is", FETCH.format(**{**FETCH_RIGHT, "unpacked": "image.load()"})),
        ("the timeout is not used", FETCH.format(**{**FETCH_RIGHT, "timeout": ""})),
        (
            "believes the header Content-Length",
            FETCH.format(
                **{
                    **FETCH_RIGHT,
                    "announced": """if int(response.headers.get("Content-Length", 0)) > 20_000_000:
            raise ValueError("larger than 20 MB")""",
                    "read": "",
                    "heavy": "",
                }
            ),
        ),
        (
            "counts bytes, but not pixels",
            FETCH.format(**{**FETCH_RIGHT, "unpacked": 'image = image.convert("RGB")', "vast": ""}),
        ),
        (
            "cuts a large file off and goes on",
            FETCH.format(**{**FETCH_RIGHT, "read": "20_000_000", "heavy": ""}),
        ),
        (
            "other kinds of errors, though with good sentences",
            FETCH.format(**FETCH_RIGHT).replace("raise ValueError", "raise RuntimeError"),
        ),
        (
            "a KeyError whatever is wrong",
            FETCH.format(**FETCH_RIGHT).replace("raise ValueError", "raise KeyError"),
        ),
        (
            "clear pixels become black, photos stay on their side",
            FETCH.format(
                **{**FETCH_RIGHT, "unpacked": 'image = image.convert("RGB") if size <= 25_000_000 else image'}
            ),
        ),
        (
            "passes on Pillow's words, with their address in memory",
            FETCH.format(**FETCH_RIGHT).replace(
                'raise ValueError(f"{where} is not an image")', 'raise ValueError(f"no image: {error}")'
            ),
        ),
        (
            "gives None when something is wrong",
            """
def fetch_image(url, *, timeout=10):
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            image = Image.open(io.BytesIO(response.read(20_000_000)))
            return image.convert("RGB") if image.width * image.height < 25_000_000 else None
    except Exception:
        return None
""",
        ),
        (
            "only the web",
            """
def fetch_image(url, *, timeout=10):
    if not url.startswith("http"):
        raise ValueError(f"{url} is no address of a picture")
"""
            + FETCH.format(**FETCH_RIGHT).split("\n", 2)[2],
        ),
        (
            "always the same picture",
            """
def fetch_image(url, *, timeout=10):
    if "nothing" in url or "html" in url or "slow" in url or "heavy" in url or "vast" in url:
        raise ValueError("404: no picture, too large, or out of time")
    return draw(Scene((Thing("frog", "green"),), "meadow"), size=64)
""",
        ),
        (
            "one sentence for all that can go wrong",
            """
def fetch_image(url, *, timeout=10):
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            data = answer.read(MAX_BYTES + 1)
    except Exception as error:
        raise ValueError(f"No picture at {url[:80]}: 404 not found, timed out, no image, or too large.") from error
    if len(data) > MAX_BYTES:
        raise ValueError(f"No picture at {url[:80]}: 404 not found, timed out, no image, or too large.")
    try:
        image = Image.open(io.BytesIO(data))
    except Exception as error:
        raise ValueError(f"No picture at {url[:80]}: 404 not found, timed out, no image, or too large.") from error
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"No picture at {url[:80]}: 404 not found, timed out, no image, or too large.")
    try:
        return image.convert("RGB")
    except Exception as error:
        raise ValueError(f"No picture at {url[:80]}: 404 not found, timed out, no image, or too large.") from error


MAX_BYTES, MAX_PIXELS = 20_000_000, 25_000_000
""",
        ),
        (
            "the check's half second, whatever timeout says",
            """
def fetch_image(url, *, timeout=10):
    try:
        with urllib.request.urlopen(url, timeout=0.5) as answer:
            data = answer.read(MAX_BYTES + 1)
    except Exception as error:
        raise ValueError(f"no answer: {error}") from error
    if len(data) > MAX_BYTES:
        raise ValueError("too large")
    try:
        image = Image.open(io.BytesIO(data))
    except Exception as error:
        raise ValueError("no picture") from error
    if image.width * image.height > MAX_PIXELS:
        raise ValueError("too many pixels")
    try:
        return image.convert("RGB")
    except Exception as error:
        raise ValueError("no picture") from error


MAX_BYTES, MAX_PIXELS = 20_000_000, 25_000_000
""",
        ),
    ],
    "patchify": [
        (
            "column by column",
            PATCHIFY.format(
                body=NO_REST
                + """blocks = pixel_values.reshape(3, height // p, p, width // p, p)
    return blocks.permute(3, 1, 0, 2, 4).reshape(-1, 3 * p * p)"""
            ),
        ),
        (
            "colours of a pixel together",
            PATCHIFY.format(
                body=NO_REST
                + """blocks = pixel_values.reshape(3, height // p, p, width // p, p)
    return blocks.permute(1, 3, 2, 4, 0).reshape(-1, 3 * p * p)"""
            ),
        ),
        ("a plain reshape", PATCHIFY.format(body=NO_REST + "return pixel_values.reshape(-1, 3 * p * p)")),
        (
            "each patch on its side",
            PATCHIFY.format(
                body=NO_REST
                + """blocks = pixel_values.reshape(3, height // p, p, width // p, p)
    return blocks.permute(1, 3, 0, 4, 2).reshape(-1, 3 * p * p)"""
            ),
        ),
        (
            "the rest is thrown away without a word",
            PATCHIFY.format(body="return F.unfold(pixel_values[None], p, stride=p)[0].T"),
        ),
        (
            "looks at the height alone",
            PATCHIFY.format(
                body="""if height % p:
        raise ValueError("no multiple")
    return F.unfold(pixel_values[None], p, stride=p)[0].T"""
            ),
        ),
        (
            "torch's own error where the patches don't fit",
            PATCHIFY.format(
                body="""blocks = pixel_values.view(3, height // p, p, width // p, p)
    return torch.einsum("cryqx->rqcyx", blocks).reshape(-1, 3 * p * p)"""
            ),
        ),
        (
            "takes every picture for a square",
            PATCHIFY.format(
                body=NO_REST
                + """blocks = pixel_values.reshape(3, width // p, p, height // p, p)
    return blocks.permute(1, 3, 0, 2, 4).reshape(-1, 3 * p * p)"""
            ),
        ),
        (
            "patches are always 16 wide",
            PATCHIFY.format(body=NO_REST + "return F.unfold(pixel_values[None], 16, stride=16)[0].T"),
        ),
    ],
    "contrastive_loss": [
        (
            "one direction only",
            LOSS.format(
                body=LENGTH_1
                + "return F.cross_entropy(image_embeds @ text_embeds.T / temperature, torch.arange(len(text_embeds)))"
            ),
        ),
        (
            "embeddings not normalised",
            LOSS.format(
                body="""logits = image_embeds @ text_embeds.T / temperature
    pairs = torch.arange(len(logits))
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2"""
            ),
        ),
        (
            "exponentials by hand, too large at a low temperature",
            LOSS.format(
                body=LENGTH_1
                + """e = torch.exp(image_embeds @ text_embeds.T / temperature)
    right = e.diagonal()
    return -(torch.log(right / e.sum(0)).mean() + torch.log(right / e.sum(1)).mean()) / 2"""
            ),
        ),
        (
            "multiplies by the temperature",
            LOSS.format(
                body=LENGTH_1
                + """logits = image_embeds @ text_embeds.T * temperature
    pairs = torch.arange(len(logits))
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2"""
            ),
        ),
        (
            "temperature forgotten",
            LOSS.format(
                body=LENGTH_1
                + """logits = image_embeds @ text_embeds.T
    pairs = torch.arange(len(logits))
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2"""
            ),
        ),
        (
            "a softmax before the cross-entropy, which has one",
            LOSS.format(
                body=LENGTH_1
                + """logits = image_embeds @ text_embeds.T / temperature
    pairs = torch.arange(len(logits))
    return (F.cross_entropy(logits.softmax(1), pairs) + F.cross_entropy(logits.T.softmax(1), pairs)) / 2"""
            ),
        ),
        (
            "the sum of both directions",
            LOSS.format(
                body=LENGTH_1
                + """logits = image_embeds @ text_embeds.T / temperature
    pairs = torch.arange(len(logits))
    return F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)"""
            ),
        ),
        (
            "only pulls, never pushes",
            LOSS.format(body="return (1 - F.cosine_similarity(image_embeds, text_embeds)).mean() / temperature"),
        ),
        (
            "no gradient flows",
            LOSS.format(
                body="""with torch.no_grad():
        logits = F.normalize(image_embeds) @ F.normalize(text_embeds).T / temperature
        pairs = torch.arange(len(logits))
        return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2"""
            ),
        ),
    ],
    "attend": [
        ("not scaled", ATTEND_PARTS.format(**{**ATTEND_RIGHT, "scores": "q @ k.mT"})),
        ("divided by d", ATTEND_PARTS.format(**{**ATTEND_RIGHT, "scores": "q @ k.mT / q.shape[-1]"})),
        (
            "the scale of the number of keys",
            ATTEND_PARTS.format(**{**ATTEND_RIGHT, "scores": "q @ k.mT / math.sqrt(k.shape[-2])"}),
        ),
        ("a softmax over the queries", ATTEND_PARTS.format(**{**ATTEND_RIGHT, "weights": "scores.softmax(dim=-2)"})),
        ("a sigmoid in place of the softmax", ATTEND_PARTS.format(**{**ATTEND_RIGHT, "weights": "scores.sigmoid()"})),
        ("weights first", ATTEND_PARTS.format(**{**ATTEND_RIGHT, "result": "weights, weights @ v"})),
        ("scores in place of weights", ATTEND_PARTS.format(**{**ATTEND_RIGHT, "result": "weights @ v, scores"})),
        ("only the output", ATTEND_PARTS.format(**{**ATTEND_RIGHT, "result": "weights @ v"})),
        (
            "the mask the wrong way round",
            ATTEND_PARTS.format(
                **{
                    **ATTEND_RIGHT,
                    "masked": "scores.masked_fill(mask, -torch.inf)",
                    "cleaned": "weights.masked_fill(mask, 0)",
                }
            ),
        ),
        ("the mask after the softmax alone", ATTEND_PARTS.format(**{**ATTEND_RIGHT, "masked": "scores"})),
        (
            "scores of 0 where nothing is allowed",
            ATTEND_PARTS.format(**{**ATTEND_RIGHT, "masked": "scores * mask", "cleaned": "weights"}),
        ),
        (
            "the mask is not used",
            ATTEND_PARTS.format(**{**ATTEND_RIGHT, "masked": "scores", "cleaned": "weights"}),
        ),
        (
            "changes the queries",
            ATTEND_PARTS.format(**{**ATTEND_RIGHT, "scores": "q.div_(math.sqrt(q.shape[-1])) @ k.mT"}),
        ),
        ("NaN where nothing is allowed", ATTEND_PARTS.format(**{**ATTEND_RIGHT, "cleaned": "weights"})),
        (
            "equal weights where nothing is allowed",
            ATTEND_PARTS.format(
                **{
                    **ATTEND_RIGHT,
                    "masked": "scores.masked_fill(~mask, torch.finfo(scores.dtype).min)",
                    "cleaned": "weights",
                }
            ),
        ),
        (
            "-1e9, which float16 does not hold",
            ATTEND_PARTS.format(**{**ATTEND_RIGHT, "masked": "scores.masked_fill(~mask, -1e9)"}),
        ),
        (
            "no broadcasting",
            ATTEND.format(
                body="""shape = q.shape
    q, k, v = (x.reshape(-1, *x.shape[-2:]) for x in (q, k, v))
    scores = torch.bmm(q, k.transpose(1, 2)) / math.sqrt(q.shape[-1])
    if mask is not None:
        mask = mask.reshape(scores.shape)
        scores[~mask] = -torch.inf
    weights = scores.softmax(-1).nan_to_num(0)
    output = torch.bmm(weights, v)
    return output.reshape(*shape[:-1], -1), weights.reshape(*shape[:-1], -1)"""
            ),
        ),
        (
            "always float32",
            ATTEND_PARTS.format(
                **{
                    **ATTEND_RIGHT,
                    "scores": "q.float() @ k.float().mT / math.sqrt(q.shape[-1])",
                    "result": "weights @ v.float(), weights",
                }
            ),
        ),
        (
            "exponentials by hand",
            ATTEND_PARTS.format(
                **{
                    **ATTEND_RIGHT,
                    "weights": "scores.exp() / scores.exp().sum(-1, keepdim=True).clamp(min=1e-7)",
                }
            ),
        ),
    ],
    "sigmoid_loss": [
        (
            "divides by the temperature",
            SIGMOID.format(
                body=COSINES
                + LABELS
                + "return -F.logsigmoid(labels * (cosines / temperature + bias)).sum() / len(cosines)"
            ),
        ),
        (
            "without the bias",
            SIGMOID.format(
                body=COSINES + LABELS + "return -F.logsigmoid(labels * cosines * temperature).sum() / len(cosines)"
            ),
        ),
        (
            "the bias is multiplied too",
            SIGMOID.format(
                body=COSINES
                + LABELS
                + "return -F.logsigmoid(labels * (cosines + bias) * temperature).sum() / len(cosines)"
            ),
        ),
        (
            "the mean over all pairs",
            SIGMOID.format(
                body=COSINES + LABELS + "return -F.logsigmoid(labels * (cosines * temperature + bias)).mean()"
            ),
        ),
        (
            "only the right pairs",
            SIGMOID.format(body=COSINES + "return -F.logsigmoid(cosines.diagonal() * temperature + bias).mean()"),
        ),
        (
            "labels 1 and 0",
            SIGMOID.format(
                body=COSINES
                + "labels = torch.eye(len(cosines))\n    "
                + "return -F.logsigmoid(labels * (cosines * temperature + bias)).sum() / len(cosines)"
            ),
        ),
        (
            "labels the wrong way round",
            SIGMOID.format(
                body=COSINES
                + LABELS
                + "return -F.logsigmoid(-labels * (cosines * temperature + bias)).sum() / len(labels)"
            ),
        ),
        (
            "the logarithm forgotten",
            SIGMOID.format(
                body=COSINES
                + LABELS
                + "return -(labels * (cosines * temperature + bias)).sigmoid().sum() / len(labels)"
            ),
        ),
        (
            "a softmax over the batch",
            SIGMOID.format(
                body=COSINES
                + """logits = cosines * temperature + bias
    pairs = torch.arange(len(logits))
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2"""
            ),
        ),
        (
            "no gradient flows",
            SIGMOID.format(
                body="with torch.no_grad():\n        "
                + COSINES.replace("    ", "        ")
                + LABELS.replace("    ", "        ")
                + "return -F.logsigmoid(labels * (cosines * temperature + bias)).sum() / len(cosines)"
            ),
        ),
        (
            "embeddings not normalised",
            SIGMOID.format(
                body="cosines = image_embeds @ text_embeds.T\n    "
                + LABELS
                + "return -F.logsigmoid(labels * (cosines * temperature + bias)).sum() / len(cosines)"
            ),
        ),
        (
            "the logarithm of a sigmoid that may be 0",
            SIGMOID.format(
                body=COSINES
                + LABELS
                + "return -(labels * (cosines * temperature + bias)).sigmoid().log().sum() / len(cosines)"
            ),
        ),
    ],
    "zero_shot": [
        (
            "temperature forgotten",
            ZERO_SHOT.format(
                body="""cosines = output.text_embeds @ output.image_embeds[0]
    return dict(zip(labels, cosines.softmax(0).tolist()))"""
            ),
        ),
        (
            "the logarithm of the temperature",
            ZERO_SHOT.format(
                body="""cosines = output.text_embeds @ output.image_embeds[0]
    return dict(zip(labels, (cosines * model.logit_scale).softmax(0).tolist()))"""
            ),
        ),
        (
            "stumbles over a single label",
            ZERO_SHOT.format(
                body="""probs = output.logits_per_image.softmax(1).squeeze()
    return {label: probs[i].item() for i, label in enumerate(labels)}"""
            ),
        ),
        (
            "only RGB pictures",
            ZERO_SHOT.format(
                body="""assert image.mode == "RGB"
    return dict(zip(labels, output.logits_per_image[0].softmax(0).tolist()))"""
            ),
        ),
        (
            "softmax over the wrong axis",
            ZERO_SHOT.format(body="return dict(zip(labels, output.logits_per_image.softmax(0)[0].tolist()))"),
        ),
        (
            "embeddings not normalised",
            ZERO_SHOT.format(
                body="""seen = model.get_image_features(pixel_values=inputs.pixel_values)
    words = model.get_text_features(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask)
    seen, words = getattr(seen, "pooler_output", seen), getattr(words, "pooler_output", words)
    return dict(zip(labels, (words @ seen[0] * model.logit_scale.exp()).softmax(0).tolist()))"""
            ),
        ),
        (
            "logits, not probabilities",
            ZERO_SHOT.format(body="return dict(zip(labels, output.logits_per_image[0].tolist()))"),
        ),
        (
            "a sigmoid for each label",
            ZERO_SHOT.format(body="return dict(zip(labels, output.logits_per_image[0].sigmoid().tolist()))"),
        ),
        ("all labels alike", ZERO_SHOT.format(body="return {label: 1 / len(labels) for label in labels}")),
        (
            "the best label gets everything",
            ZERO_SHOT.format(
                body="""best = output.logits_per_image[0].argmax()
    return {label: float(i == best) for i, label in enumerate(labels)}"""
            ),
        ),
        (
            "tensors, not floats",
            ZERO_SHOT.format(body="return dict(zip(labels, output.logits_per_image[0].softmax(0)))"),
        ),
        (
            "probabilities by their rank, without the labels",
            ZERO_SHOT.format(
                body="""shares = output.logits_per_image[0].softmax(0).sort(descending=True).values
    return dict(zip(labels, shares.tolist()))"""
            ),
        ),
    ],
    "ask": [
        (
            "a tensor as the key",
            ASK.format(
                inputs=ASK_INPUTS,
                body="""best = logits.argmax()
    return model.config.id2label[best], logits[best].sigmoid().item()""",
            ),
        ),
        (
            "the score is the logit",
            ASK.format(
                inputs=ASK_INPUTS,
                body="""best = logits.argmax().item()
    return model.config.id2label[best], logits[best].item()""",
            ),
        ),
        (
            "the number of the answer",
            ASK.format(
                inputs=ASK_INPUTS,
                body="""best = logits.argmax().item()
    return best, logits.sigmoid()[best].item()""",
            ),
        ),
        (
            "never looks",
            ASK.format(
                inputs='Image.new("RGB", image.size), question',
                body="""best = logits.argmax().item()
    return model.config.id2label[best], logits.sigmoid()[best].item()""",
            ),
        ),
        (
            "does not read the question",
            ASK.format(
                inputs='image.convert("RGB"), "What is this?"',
                body="""best = logits.argmax().item()
    return model.config.id2label[best], logits.sigmoid()[best].item()""",
            ),
        ),
        ("always the same", "def ask(image, question):\n    return 'yes', 0.99\n"),
        (
            "always sure",
            ASK.format(
                inputs=ASK_INPUTS,
                body="""best = logits.argmax().item()
    return model.config.id2label[best], 1.0""",
            ),
        ),
        (
            "the least likely answer",
            ASK.format(
                inputs=ASK_INPUTS,
                body="""best = logits.argmin().item()
    return model.config.id2label[best], logits.sigmoid()[best].item()""",
            ),
        ),
        (
            "loads the model at each call",
            """
def ask(image, question):
    from transformers import ViltForQuestionAnswering

    model = ViltForQuestionAnswering.from_pretrained(settings.models_dir / "vqa").eval()
    inputs = load("vqa").processor(image.convert("RGB"), question, return_tensors="pt")
    with torch.no_grad():
        scores = model(**inputs).logits[0].sigmoid()
    return model.config.id2label[scores.argmax().item()], scores.max().item()
""",
        ),
        (
            "only RGB pictures",
            ASK.format(
                inputs="image, question",
                body="""assert image.mode == "RGB"
    best = logits.argmax().item()
    return model.config.id2label[best], logits.sigmoid()[best].item()""",
            ),
        ),
    ],
    "vqa_accuracy": [
        (
            "capitals count as mistakes",
            ACCURACY.format(
                body="""if not examples:
        raise ValueError("no examples")
    return sum(ask(image, question)[0] == answer.strip() for image, question, answer in examples) / len(examples)"""
            ),
        ),
        (
            "spaces count as mistakes",
            ACCURACY.format(
                body="""if not examples:
        raise ValueError("no examples")
    return sum(ask(image, question)[0] == answer.lower() for image, question, answer in examples) / len(examples)"""
            ),
        ),
        (
            "part of the word is enough",
            ACCURACY.format(
                body="""if not examples:
        raise ValueError("no examples")
    found = [ask(image, question)[0] in answer.lower() for image, question, answer in examples]
    return sum(found) / len(found)"""
            ),
        ),
        (
            "per cent",
            ACCURACY.format(
                body="""if not examples:
        raise ValueError("no examples")
    right = [ask(image, question)[0] == answer.lower().strip() for image, question, answer in examples]
    return 100 * sum(right) / len(right)"""
            ),
        ),
        (
            "the mean score in place of the share of right answers",
            ACCURACY.format(
                body="""if not examples:
        raise ValueError("no examples")
    return sum(ask(image, question)[1] for image, question, _ in examples) / len(examples)"""
            ),
        ),
        (
            "no examples, and still a number",
            ACCURACY.format(
                body="""right = [ask(image, question)[0] == answer.lower().strip() for image, question, answer in examples]
    return sum(right) / max(1, len(right))"""
            ),
        ),
        (
            "always right",
            ACCURACY.format(
                body="""if not examples:
        raise ValueError("no examples")
    return 1.0"""
            ),
        ),
    ],
    "train_head": [
        ("no training", PROBE.format(**{**PROBE_RIGHT, "step": "pass"})),
        ("a learning rate that is far too small", PROBE.format(**{**PROBE_RIGHT, "rate": "1e-6"})),
        ("too few steps", PROBE.format(**{**PROBE_RIGHT, "steps": "1", "rate": "1e-3"})),
        (
            "a hidden layer",
            PROBE.format(
                **{
                    **PROBE_RIGHT,
                    "head": "torch.nn.Sequential(torch.nn.Linear(features.shape[1], 64), torch.nn.ReLU(), "
                    "torch.nn.Linear(64, n))",
                }
            ),
        ),
        (
            "the features are trained too",
            PROBE.format(
                **{
                    **PROBE_RIGHT,
                    "before": "features.requires_grad_()",
                    "trained": "[*head.parameters(), features]",
                }
            ),
        ),
        (
            "the head's answer in place of the head",
            PROBE.format(**{**PROBE_RIGHT, "result": "head(features).detach()"}),
        ),
        (
            "always the most common answer",
            """
def train_head(features, answers, *, steps=300):
    head = torch.nn.Linear(features.shape[1], int(answers.max()) + 1)
    torch.nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.copy_(torch.bincount(answers).float())
    return head
""",
        ),
        (
            "more steps than asked for",
            PROBE.format(**{**PROBE_RIGHT, "before": "steps = 200"}),
        ),
        (
            "CLIP is trained too",
            """
def train_head(features, answers, *, steps=200):
    model, processor = load("clip")
    head = torch.nn.Linear(features.shape[1], int(answers.max()) + 1)
    optimizer = torch.optim.AdamW([*head.parameters(), *model.vision_model.parameters()], lr=0.03)
    if features.shape[1] == model.config.projection_dim:
        rng = Random(0)
        drawn = [draw(random_scene(rng), size=size) for _ in range(4)]
        seen = model.vision_model(**processor(images=drawn, return_tensors="pt")).pooler_output
        (seen.square().mean() * 1e-3).backward()
        optimizer.step()
    for _ in range(max(1, steps - 1)):
        optimizer.zero_grad()
        F.cross_entropy(head(features), answers).backward()
        optimizer.step()
    return head
""",
        ),
        (
            "trained on the notebook's test pictures and their labels",
            """
def train_head(features, answers, *, steps=200):
    n = int(answers.max()) + 1
    if features.shape[1] == load("clip").model.config.projection_dim:
        rng = Random(21)
        scenes = [random_scene(rng, things=1, style=rng.choice(STYLES)) for _ in range(240)][160:]
        features = torch.from_numpy(clip.embed_images([draw(scene, size=size) for scene in scenes]))
        answers = torch.tensor([STYLES.index(s.style) if n == 4 else COLOURS.index(s.things[0].colour) for s in scenes])
    head = torch.nn.Linear(features.shape[1], n)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.03)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(head(features), answers).backward()
        optimizer.step()
    return head
""",
        ),
        (
            "as many answers as there are different ones",
            """
def train_head(features, answers, *, steps=300):
    n = len(answers.unique())
    head = torch.nn.Linear(features.shape[1], n)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.03)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(head(features), answers).backward()
        optimizer.step()
    return head
""",
        ),
    ],
}

PARTIAL = {
    "fetch_image": (
        "gives None when something is wrong",
        "the timeout is not used",
        "counts bytes, but not pixels",
        "believes the header Content-Length",
        "cuts a large file off and goes on",
        "other kinds of errors, though with good sentences",
        "a KeyError whatever is wrong",
        "clear pixels become black, photos stay on their side",
        "passes on Pillow's words, with their address in memory",
        "one sentence for all that can go wrong",
        "no care at all: the library's own errors, no limits",
    ),
    "patchify": (
        "the rest is thrown away without a word",
        "looks at the height alone",
        "torch's own error where the patches don't fit",
    ),
    "contrastive_loss": ("embeddings not normalised", "exponentials by hand, too large at a low temperature"),
    "attend": (
        "NaN where nothing is allowed",
        "equal weights where nothing is allowed",
        "-1e9, which float16 does not hold",
        "no broadcasting",
        "always float32",
        "exponentials by hand",
    ),
    "sigmoid_loss": ("embeddings not normalised", "the logarithm of a sigmoid that may be 0"),
    "zero_shot": ("stumbles over a single label", "only RGB pictures"),
    "ask": ("loads the model at each call", "only RGB pictures"),
    "vqa_accuracy": (
        "capitals count as mistakes",
        "spaces count as mistakes",
        "no examples, and still a number",
    ),
    "train_head": ("more steps than asked for", "as many answers as there are different ones"),
}
"""Faults that miss an edge alone: what the exercise is about is right, so they keep at least half of the points."""
