"""Answers to the exercises of notebook 04: right ones, written differently, and mistakes that students make.

Each is the whole text of an exercise's cell. It runs after the notebook's set-up cells; another exercise's function
that it calls is there as in the solution.
"""

READABLE = """
def readable(tokens):
    {body}
"""

SOFT = """
@torch.no_grad()
def soft_prompts(model, pixel_values):
    {body}
"""

WITHOUT = """
def without_queries(model, pixel_values, indices):
    if any(not 0 <= i < model.config.num_query_tokens for i in indices):
        raise ValueError(f"no such query: {{indices}}")
    prompts = soft_prompts(model, pixel_values)
    {body}
"""

CAPTION = """
def caption(image):
    {body}
"""

COMPLETE = """
def complete(image, prompt):
    {body}
"""

ANSWER = """
def answer(image, question):
    {body}
"""

CHAT_PROMPT = """
def chat_prompt(memory, question):
    {body}
"""

# A conversation; a mistake is made in one of its parts.
CONVERSATION = """
class Conversation:
    {shared}

    def __init__(self, image{default}):
        self.image = image
        {start}

    def ask(self, question):
        {ask}

    def reset(self):
        {reset}
"""
CONVERSATION_RIGHT = {
    "shared": "kind = 'chat'",
    "default": "",
    "start": "self.memory = []",
    "ask": """reply = complete(self.image, chat_prompt(self.memory, question))
        self.memory.append((question, reply))
        return reply""",
    "reset": "self.memory.clear()",
}

RIGHT = {
    "readable": [
        READABLE.format(body='return list(map(lambda token: "_".join(token.split("\\u0120")), tokens))'),
        """
import re


def readable(tokens):
    shown = []
    for token in tokens:
        shown.append(re.sub("Ġ", "_", token))
    return shown
""",
        """
def readable(tokens):
    return [token.translate({0x120: "_"}) for token in tokens]
""",
    ],
    "soft_prompts": [
        SOFT.format(
            body="""picture = model.vision_model(pixel_values=pixel_values)[0]
    mask = torch.ones(picture.shape[:-1], dtype=torch.long, device=picture.device)
    queries = model.query_tokens.expand(len(picture), -1, -1)
    found = model.qformer(query_embeds=queries, encoder_hidden_states=picture, encoder_attention_mask=mask)[0]
    return model.language_projection(found.to(model.language_projection.weight.dtype)).squeeze(0)"""
        ),
        """
def soft_prompts(model, pixel_values):
    with torch.inference_mode():
        seen = model.vision_model(pixel_values)
        found = model.qformer(model.query_tokens, encoder_hidden_states=seen.last_hidden_state).last_hidden_state[0]
        weight, bias = model.language_projection.weight, model.language_projection.bias
        return (found.type_as(weight) @ weight.T + bias).clone()
""",
        """
@torch.inference_mode()
def soft_prompts(model, pixel_values):
    patches = model.vision_model(pixel_values, return_dict=True).last_hidden_state
    summary = model.qformer(
        query_embeds=model.query_tokens.repeat(patches.shape[0], 1, 1), encoder_hidden_states=patches, return_dict=True
    )
    layer = model.language_projection
    found = summary.last_hidden_state[0].to(layer.weight.dtype)
    return torch.nn.functional.linear(found, layer.weight, layer.bias)
""",
    ],
    "without_queries": [
        WITHOUT.format(
            body="""off = torch.tensor([i in indices for i in range(len(prompts))])
    return torch.where(off[:, None], prompts.mean(0, keepdim=True), prompts)"""
        ),
        """
@torch.no_grad()
def without_queries(model, pixel_values, indices):
    seen = model.vision_model(pixel_values).last_hidden_state
    found = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state[0]
    for index in indices:
        if index not in range(len(found)):
            raise ValueError(f"There is no query {index}; they are numbered from 0 to {len(found) - 1}.")
    mean = found.mean(dim=0)  # the projection is linear, so the mean may be taken before it
    rows = [mean if i in indices else row for i, row in enumerate(found)]
    return model.language_projection(torch.stack(rows))
""",
        WITHOUT.format(
            body="""mean = sum(prompts) / len(prompts)
    prompts = prompts.clone()
    for i in set(indices):
        prompts[i] = mean
    return prompts"""
        ),
    ],
    "caption": [
        CAPTION.format(
            body="""inputs = processor(image, return_tensors="pt")
    ids = model.generate(pixel_values=inputs.pixel_values, max_new_tokens=80, do_sample=False, num_beams=1)
    text = processor.batch_decode(ids, skip_special_tokens=True)[0]
    return " ".join(text.split())"""
        ),
        """
@torch.no_grad()
def caption(image):
    blip2, prepare = load("blip2")
    pixels = prepare(images=image, return_tensors="pt")["pixel_values"]
    embed = blip2.get_input_embeddings()
    start = embed(torch.tensor([[blip2.config.text_config.bos_token_id]]))
    vectors = torch.cat([soft_prompts(blip2, pixels)[None], start], dim=1)
    ids = []
    for _ in range(60):
        best = blip2.language_model(inputs_embeds=vectors).logits[0, -1].argmax()
        if best == prepare.tokenizer.eos_token_id:
            break
        ids.append(best.item())
        vectors = torch.cat([vectors, embed(best)[None, None]], dim=1)
    return prepare.tokenizer.decode(ids).strip()
""",
        """
def caption(image):
    inputs = processor(images=[image.convert("RGB")], return_tensors="pt").to(model.device, model.dtype)
    with torch.no_grad():
        rows = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    special = {*tokenizer.all_special_ids, model.config.image_token_index}
    return tokenizer.decode([i for i in rows[0].tolist() if i not in special]).strip()
""",
    ],
    "complete": [
        COMPLETE.format(
            body="""inputs = processor(images=[image], text=[prompt], return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=50, do_sample=False)
    text = processor.batch_decode(ids, skip_special_tokens=True)[0]
    return text.removeprefix(prompt).strip()"""
        ),
        """
@torch.no_grad()
def complete(image, prompt):
    pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    words = processor.tokenizer(prompt, return_tensors="pt")["input_ids"]
    vectors = torch.cat([soft_prompts(model, pixels)[None], model.get_input_embeddings()(words)], dim=1)
    ids = model.language_model.generate(inputs_embeds=vectors, max_new_tokens=40, do_sample=False)
    return processor.tokenizer.decode(ids[0], skip_special_tokens=True).strip()
""",
        """
def complete(image, prompt):
    inputs = processor(images=image, text=prompt, return_tensors="pt").to(model.device, model.dtype)
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    options = {**inputs, "max_new_tokens": 30, "do_sample": False, "streamer": streamer}
    thread = Thread(target=model.generate, kwargs=options)
    thread.start()
    said = "".join(streamer).strip()
    thread.join()
    return said
""",
        """
def complete(image, prompt):
    from transformers import GenerationConfig

    inputs = processor(text=prompt, images=image, return_tensors="pt").to(model.device, model.dtype)
    greedy = GenerationConfig.from_model_config(model.config)
    greedy.update(max_new_tokens=30, do_sample=False, num_beams=1)
    out = model.generate(**inputs, generation_config=greedy, return_dict_in_generate=True).sequences
    return tokenizer.batch_decode(out[:, inputs.input_ids.size(1):], skip_special_tokens=True)[0].strip()
""",
    ],
    "answer": [
        ANSWER.format(
            body="""inputs = processor(images=image, text="Question: " + question + " Answer:", return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=20, do_sample=False)[:, inputs["input_ids"].shape[1]:]
    return processor.batch_decode(ids, skip_special_tokens=True)[0].strip()"""
        ),
        ANSWER.format(
            body="""reply = complete(image, "Question: {} Answer:".format(question))
    return reply.rstrip(".")"""
        ),
        ANSWER.format(body='return complete(image, " ".join(["Question:", question, "Answer:"]))'),
        """
PROMPT = "Question: %s Answer:"


def answer(image, question):
    return complete(prompt=PROMPT % question, image=image)
""",
    ],
    "chat_prompt": [
        CHAT_PROMPT.format(
            body="""text = ""
    for asked, told in memory:
        told = told.strip()
        if not told.endswith("."):
            told += "."
        text += f"Question: {asked.strip()} Answer: {told} "
    return text + f"Question: {question.strip()} Answer:\""""
        ),
        """
def chat_prompt(memory, question):
    parts = []
    for q, a in [*memory, (question, None)]:
        parts += ["Question:", q.strip(), "Answer:"]
        if a is not None:
            parts.append(a.strip().removesuffix(".") + ".")
    return " ".join(parts)
""",
        CHAT_PROMPT.format(
            body="""if not memory:
        return f"Question: {question.strip()} Answer:"
    (asked, told), *rest = memory
    return f"Question: {asked.strip()} Answer: {told.strip(' .')}. " + chat_prompt(rest, question)"""
        ),
        """
import re


def chat_prompt(memory, question):
    turns = [f"Question: {q.strip()} Answer: {re.sub(r'[. ]*$', '', a.strip())}." for q, a in memory]
    turns.append("Question: " + question.strip() + " Answer:")
    return " ".join(turns)
""",
    ],
    "Conversation": [
        CONVERSATION.format(**CONVERSATION_RIGHT),
        """
class Conversation:
    def __init__(self, image):
        self.inputs = processor(images=image, return_tensors="pt")  # prepared once
        self.reset()

    def reset(self):
        self.memory = list()

    def ask(self, question):
        text = "".join(f"Question: {q} Answer: {a.strip().rstrip('.')}. " for q, a in self.memory)
        ids = processor(images=None, text=f"{text}Question: {question} Answer:", return_tensors="pt")["input_ids"]
        places = torch.full((1, model.config.num_query_tokens), model.config.image_token_index)
        ids = torch.cat([places, ids], dim=1)
        said = model.generate(pixel_values=self.inputs["pixel_values"], input_ids=ids, max_new_tokens=30, do_sample=False)
        reply = processor.decode(said[0, ids.shape[1]:], skip_special_tokens=True).strip()
        self.memory = [*self.memory, (question, reply)]
        return reply
""",
        """
class Conversation:
    def __init__(self, image, memory=None):
        self.image, self.memory = image, list(memory or ())

    def ask(self, question):
        self.memory.append([question, complete(self.image, chat_prompt(self.memory, question))])
        return self.memory[-1][1]

    def reset(self):
        del self.memory[:]
""",
        """
from dataclasses import dataclass, field


@dataclass
class Conversation:
    image: object
    memory: list = field(default_factory=list)

    def ask(self, question):
        said = complete(self.image, chat_prompt(self.memory, question))
        self.memory += [(question, said)]
        return said

    def reset(self):
        self.memory = []
""",
    ],
}

WRONG = {
    "readable": [
        ("only at the start", READABLE.format(body='return ["_" + t[1:] if t.startswith("Ġ") else t for t in tokens]')),
        ("taken away", READABLE.format(body='return [t.lstrip("Ġ") for t in tokens]')),
        ("one string", READABLE.format(body='return " ".join(tokens).replace("Ġ", "_")')),
        ("a space", READABLE.format(body='return [t.replace("Ġ", " ") for t in tokens]')),
        (
            "changes the list it was given",
            READABLE.format(
                body="""for i, t in enumerate(tokens):
        tokens[i] = t.replace("Ġ", "_")
    return tokens"""
            ),
        ),
        ("a map in place of a list", READABLE.format(body='return map(lambda t: t.replace("Ġ", "_"), tokens)')),
        (
            "makes line ends visible, too",
            READABLE.format(body='return [t.replace("Ġ", "_").replace("Ċ", "\\\\n") for t in tokens]'),
        ),
        ("the tokens as they are", READABLE.format(body="return list(tokens)")),
        ("prints instead of returning", READABLE.format(body='print([t.replace("Ġ", "_") for t in tokens])')),
    ],
    "soft_prompts": [
        (
            "before the projection",
            SOFT.format(
                body="""seen = model.vision_model(pixel_values).last_hidden_state
    return model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state[0]"""
            ),
        ),
        (
            "batch dimension left in",
            SOFT.format(
                body="""seen = model.vision_model(pixel_values).last_hidden_state
    found = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state
    return model.language_projection(found)"""
            ),
        ),
        ("queries that saw nothing", SOFT.format(body="return model.language_projection(model.query_tokens)[0]")),
        (
            "one vector for the whole picture",
            SOFT.format(
                body="""seen = model.vision_model(pixel_values).pooler_output[:, None]
    found = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state
    return model.language_projection(found)[0]"""
            ),
        ),
        (
            "without the vector of the whole picture",
            SOFT.format(
                body="""seen = model.vision_model(pixel_values).last_hidden_state[:, 1:]
    found = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state
    return model.language_projection(found)[0]"""
            ),
        ),
        (
            "lets the model do it",
            SOFT.format(body="return model.get_image_features(pixel_values).pooler_output[0]"),
        ),
        (
            "squeezes every dimension of size 1",
            SOFT.format(
                body="""seen = model.vision_model(pixel_values).last_hidden_state
    found = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state
    return model.language_projection(found.to(model.language_projection.weight.dtype)).squeeze()"""
            ),
        ),
        (
            "only where all parts have one number format",
            SOFT.format(
                body="""seen = model.vision_model(pixel_values).last_hidden_state
    found = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state
    return model.language_projection(found)[0]"""
            ),
        ),
        (
            "zeros of the right shape",
            SOFT.format(
                body="""return torch.zeros(model.query_tokens.shape[1], model.config.text_config.hidden_size)"""
            ),
        ),
        (
            "sixteen queries, whatever the model has",
            SOFT.format(
                body="""seen = model.vision_model(pixel_values).last_hidden_state
    found = model.qformer(query_embeds=model.query_tokens, encoder_hidden_states=seen).last_hidden_state
    return model.language_projection(found).reshape(16, -1)"""
            ),
        ),
    ],
    "without_queries": [
        ("zeros", WITHOUT.format(body="prompts = prompts.clone(); prompts[list(indices)] = 0; return prompts")),
        (
            "one number for all",
            WITHOUT.format(body="prompts = prompts.clone(); prompts[list(indices)] = prompts.mean(); return prompts"),
        ),
        (
            "the mean of the others",
            WITHOUT.format(
                body="""kept = [i for i in range(len(prompts)) if i not in indices]
    changed = prompts.clone()
    changed[list(indices)] = prompts[kept].mean(dim=0)
    return changed"""
            ),
        ),
        (
            "the mean of those switched off",
            WITHOUT.format(
                body="""changed = prompts.clone()
    changed[list(indices)] = prompts[list(indices)].mean(dim=0)
    return changed"""
            ),
        ),
        (
            "the mean taken again each time",
            WITHOUT.format(
                body="""changed = prompts.clone()
    for i in indices:
        changed[i] = changed.mean(dim=0)
    return changed"""
            ),
        ),
        (
            "rows taken out",
            WITHOUT.format(body="return prompts[[i for i in range(len(prompts)) if i not in indices]]"),
        ),
        (
            "the others switched off",
            WITHOUT.format(
                body="""changed = prompts.mean(dim=0).repeat(len(prompts), 1)
    changed[list(indices)] = prompts[list(indices)]
    return changed"""
            ),
        ),
        (
            "counted from one",
            WITHOUT.format(
                body="""changed = prompts.clone()
    changed[[i - 1 for i in indices]] = prompts.mean(dim=0)
    return changed"""
            ),
        ),
        (
            "before the Q-Former",
            """
@torch.no_grad()
def without_queries(model, pixel_values, indices):
    if any(not 0 <= i < model.config.num_query_tokens for i in indices):
        raise ValueError("no such query")
    queries = model.query_tokens.clone()
    queries[:, list(indices)] = queries.mean(dim=1, keepdim=True)
    seen = model.vision_model(pixel_values).last_hidden_state
    found = model.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
    return model.language_projection(found)[0]
""",
        ),
        ("nothing switched off", WITHOUT.format(body="return prompts")),
        (
            "any number is a query",
            """
def without_queries(model, pixel_values, indices):
    prompts = soft_prompts(model, pixel_values)
    result = prompts.clone()
    result[list(indices)] = prompts.mean(dim=0)
    return result
""",
        ),
        (
            "an empty list is an error",
            WITHOUT.format(
                body="""changed = prompts.clone()
    changed[torch.tensor(indices)] = prompts.mean(dim=0)
    return changed"""
            ),
        ),
        (
            "eats the list",
            WITHOUT.format(
                body="""changed = prompts.clone()
    while indices:
        changed[indices.pop()] = prompts.mean(dim=0)
    return changed"""
            ),
        ),
    ],
    "caption": [
        (
            "sampled",
            CAPTION.format(
                body="""inputs = processor(images=image, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=60, do_sample=True)
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "special tokens left in",
            CAPTION.format(
                body="""inputs = processor(images=image, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    return processor.decode(ids[0]).strip()"""
            ),
        ),
        (
            "cut short",
            CAPTION.format(
                body="""inputs = processor(images=image, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "default length",
            CAPTION.format(
                body="""inputs = processor(images=image, return_tensors="pt")
    ids = model.generate(**inputs, do_sample=False)
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "a list of one caption",
            CAPTION.format(
                body="""inputs = processor(images=image, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    return processor.batch_decode(ids, skip_special_tokens=True)"""
            ),
        ),
        (
            "loads the model at each call",
            CAPTION.format(
                body="""from transformers import Blip2ForConditionalGeneration

    fresh = Blip2ForConditionalGeneration.from_pretrained(settings.models_dir / "blip2").eval()
    ids = fresh.generate(**processor(images=image, return_tensors="pt"), max_new_tokens=60, do_sample=False)
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "the same picture each time",
            CAPTION.format(
                body="""image = draw(Scene((Thing("cat", "red"),), place="meadow", layout=4), size=128)
    inputs = processor(images=image, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "beam search",
            CAPTION.format(
                body="""inputs = processor(images=image, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=60, num_beams=4, do_sample=False)
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "begins the caption itself",
            CAPTION.format(
                body="""inputs = processor(images=image, text="a picture of", return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "spaces left in",
            CAPTION.format(
                body="""inputs = processor(images=image, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    return processor.decode(ids[0], skip_special_tokens=True)"""
            ),
        ),
        ("knows the world by heart", CAPTION.format(body='return "a large red cat, on a meadow"')),
        (
            "at most 50 tokens",
            """
def caption(image):
    inputs = processor(images=image, return_tensors="pt").to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=50, do_sample=False)
    return processor.decode(ids[0], skip_special_tokens=True).strip()
""",
        ),
    ],
    "complete": [
        (
            "prompt echoed",
            COMPLETE.format(
                body="""inputs = processor(images=image, text=prompt, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=30, do_sample=False)
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "cut at Answer:",
            COMPLETE.format(
                body="""inputs = processor(images=image, text=prompt, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=30, do_sample=False)
    return processor.decode(ids[0], skip_special_tokens=True).split("Answer:")[-1].strip()"""
            ),
        ),
        (
            "without the picture's places",
            COMPLETE.format(
                body="""pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    ids = processor.tokenizer(prompt, return_tensors="pt")["input_ids"]
    said = model.generate(pixel_values=pixels, input_ids=ids, max_new_tokens=30, do_sample=False)
    return processor.decode(said[0, ids.shape[1]:], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "sampled",
            COMPLETE.format(
                body="""inputs = processor(images=image, text=prompt, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=30, do_sample=True)[:, inputs["input_ids"].shape[1]:]
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "a space behind the prompt",
            COMPLETE.format(
                body="""inputs = processor(images=image, text=prompt + " ", return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=30, do_sample=False)[:, inputs["input_ids"].shape[1]:]
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "only the first word",
            COMPLETE.format(
                body="""inputs = processor(images=image, text=prompt, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=1, do_sample=False)[:, inputs["input_ids"].shape[1]:]
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        (
            "spaces left in",
            COMPLETE.format(
                body="""inputs = processor(images=image, text=prompt, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=30, do_sample=False)[:, inputs["input_ids"].shape[1]:]
    return processor.decode(ids[0], skip_special_tokens=True)"""
            ),
        ),
        (
            "loads the model at each call",
            COMPLETE.format(
                body="""from transformers import Blip2ForConditionalGeneration

    fresh = Blip2ForConditionalGeneration.from_pretrained(settings.models_dir / "blip2").eval()
    inputs = processor(images=image, text=prompt, return_tensors="pt")
    ids = fresh.generate(**inputs, max_new_tokens=30, do_sample=False)[:, inputs["input_ids"].shape[1]:]
    return processor.decode(ids[0], skip_special_tokens=True).strip()"""
            ),
        ),
        ("says nothing", COMPLETE.format(body='return ""')),
        (
            "at most 12 new tokens",
            """
def complete(image, prompt):
    inputs = processor(images=image, text=prompt, return_tensors="pt").to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=12, do_sample=False)
    text = processor.decode(ids[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True).strip()
    return text
""",
        ),
        (
            "the prompt is trimmed",
            """
def complete(image, prompt):
    inputs = processor(images=image, text=prompt.strip(), return_tensors="pt").to(model.device, model.dtype)
    ids = model.generate(**inputs, max_new_tokens=30, do_sample=False)
    text = processor.decode(ids[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True).strip()
    return text
""",
        ),
    ],
    "answer": [
        ("the question alone", ANSWER.format(body="return complete(image, question)")),
        ("no Answer:", ANSWER.format(body='return complete(image, f"Question: {question}")')),
        ("a space at the end", ANSWER.format(body='return complete(image, f"Question: {question} Answer: ")')),
        ("no space after the colon", ANSWER.format(body='return complete(image, f"Question:{question} Answer:")')),
        (
            "the prompt comes back too",
            ANSWER.format(
                body="""prompt = f"Question: {question} Answer:"
    return prompt + " " + complete(image, prompt)"""
            ),
        ),
        (
            "the first word only",
            ANSWER.format(body='return complete(image, f"Question: {question} Answer:").split()[0]'),
        ),
        (
            "spaces left in",
            ANSWER.format(
                body="""inputs = processor(images=image, text=f"Question: {question} Answer:", return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=30, do_sample=False)[:, inputs["input_ids"].shape[1]:]
    return processor.decode(ids[0], skip_special_tokens=True)"""
            ),
        ),
        ("always yes", ANSWER.format(body='return "yes"')),
        (
            "asks about another picture",
            ANSWER.format(
                body="""image = draw(Scene((Thing("cat", "red"),), place="meadow", layout=4), size=128)
    return complete(image, f"Question: {question} Answer:")"""
            ),
        ),
        ("a caption instead", ANSWER.format(body="return caption(image)")),
    ],
    "chat_prompt": [
        (
            "no full stop",
            CHAT_PROMPT.format(
                body="""turns = [f"Question: {q.strip()} Answer: {a.strip().rstrip('.')}" for q, a in memory]
    return " ".join([*turns, f"Question: {question.strip()} Answer:"])"""
            ),
        ),
        (
            "two full stops",
            CHAT_PROMPT.format(
                body="""turns = [f"Question: {q.strip()} Answer: {a.strip()}." for q, a in memory]
    return " ".join([*turns, f"Question: {question.strip()} Answer:"])"""
            ),
        ),
        (
            "newest first",
            CHAT_PROMPT.format(
                body="""turns = [f"Question: {q.strip()} Answer: {a.strip().rstrip('.')}." for q, a in reversed(memory)]
    return " ".join([*turns, f"Question: {question.strip()} Answer:"])"""
            ),
        ),
        (
            "only the last turn",
            CHAT_PROMPT.format(
                body="""turns = [f"Question: {q.strip()} Answer: {a.strip().rstrip('.')}." for q, a in memory[-1:]]
    return " ".join([*turns, f"Question: {question.strip()} Answer:"])"""
            ),
        ),
        (
            "line breaks between turns",
            CHAT_PROMPT.format(
                body="""turns = [f"Question: {q.strip()} Answer: {a.strip().rstrip('.')}." for q, a in memory]
    return "\\n".join([*turns, f"Question: {question.strip()} Answer:"])"""
            ),
        ),
        ("no memory", CHAT_PROMPT.format(body='return f"Question: {question.strip()} Answer:"')),
        (
            "a space at the end",
            CHAT_PROMPT.format(
                body="""turns = [f"Question: {q.strip()} Answer: {a.strip().rstrip('.')}." for q, a in memory]
    return " ".join([*turns, f"Question: {question.strip()} Answer: "])"""
            ),
        ),
        (
            "eats the memory",
            CHAT_PROMPT.format(
                body="""text = ""
    while memory:
        q, a = memory.pop(0)
        text += f"Question: {q.strip()} Answer: {a.strip().rstrip('.')}. "
    return f"{text}Question: {question.strip()} Answer:\""""
            ),
        ),
        (
            "earlier questions keep their spaces",
            """
def chat_prompt(memory, question):
    turns = [f"Question: {q} Answer: {a.strip().rstrip('.')}." for q, a in memory]
    return " ".join([*turns, f"Question: {question.strip()} Answer:"])
""",
        ),
        (
            "question marks are put where there are none",
            """
def chat_prompt(memory, question):
    turns = [f"Question: {q.strip().rstrip('?')}? Answer: {a.strip().rstrip('.')}." for q, a in memory]
    return " ".join([*turns, f"Question: {question.strip().rstrip('?')}? Answer:"])
""",
        ),
    ],
    "Conversation": [
        ("one list for all", CONVERSATION.format(**{**CONVERSATION_RIGHT, "shared": "memory = []", "start": "pass"})),
        (
            "one default list for all",
            CONVERSATION.format(
                **{**CONVERSATION_RIGHT, "default": ", memory=[]", "start": "self.memory = memory"},
            ),
        ),
        (
            "asks without its memory",
            CONVERSATION.format(
                **{
                    **CONVERSATION_RIGHT,
                    "ask": """reply = answer(self.image, question)
        self.memory.append((question, reply))
        return reply""",
                }
            ),
        ),
        (
            "remembers nothing",
            CONVERSATION.format(
                **{**CONVERSATION_RIGHT, "ask": "return complete(self.image, chat_prompt(self.memory, question))"}
            ),
        ),
        (
            "reset keeps the list",
            CONVERSATION.format(**{**CONVERSATION_RIGHT, "reset": "memory = []"}),
        ),
        (
            "newest turn first",
            CONVERSATION.format(
                **{
                    **CONVERSATION_RIGHT,
                    "ask": """reply = complete(self.image, chat_prompt(self.memory, question))
        self.memory.insert(0, (question, reply))
        return reply""",
                }
            ),
        ),
        (
            "the question is in the memory before it is asked",
            CONVERSATION.format(
                **{
                    **CONVERSATION_RIGHT,
                    "ask": """self.memory.append((question, ""))
        reply = complete(self.image, chat_prompt(self.memory, question))
        self.memory[-1] = (question, reply)
        return reply""",
                }
            ),
        ),
        (
            "remembers the whole prompt",
            CONVERSATION.format(
                **{
                    **CONVERSATION_RIGHT,
                    "ask": """prompt = chat_prompt(self.memory, question)
        reply = complete(self.image, prompt)
        self.memory.append((prompt, reply))
        return reply""",
                }
            ),
        ),
        (
            "returns the memory",
            CONVERSATION.format(
                **{
                    **CONVERSATION_RIGHT,
                    "ask": """self.memory.append((question, complete(self.image, chat_prompt(self.memory, question))))
        return self.memory[-1]""",
                }
            ),
        ),
        (
            "keeps a prompt beside its memory",
            """
class Conversation:
    def __init__(self, image):
        self.image = image
        self.reset()

    def ask(self, question):
        self.told += f"Question: {question} Answer:"
        said = complete(self.image, self.told)
        self.told += f" {said.rstrip('.')}. "
        self.memory.append((question, said))
        return said

    def reset(self):
        self.memory, self.told = [], ""
""",
        ),
        (
            "one picture for all",
            """
class Conversation:
    def __init__(self, image):
        Conversation.image = image
        self.memory = []

    def ask(self, question):
        said = complete(Conversation.image, chat_prompt(self.memory, question))
        self.memory.append((question, said))
        return said

    def reset(self):
        self.memory = []
""",
        ),
        (
            "always the same answer",
            CONVERSATION.format(
                **{
                    **CONVERSATION_RIGHT,
                    "ask": """self.memory.append((question, "red"))
        return "red\"""",
                }
            ),
        ),
        (
            "asks with the last two turns",
            """
class Conversation:
    def __init__(self, image):
        self.image = image
        self.memory = []

    def ask(self, question):
        said = complete(self.image, chat_prompt(self.memory[-2:], question))
        self.memory.append((question, said))
        return said

    def reset(self):
        self.memory = []
""",
        ),
    ],
}

PARTIAL = {
    "readable": ("changes the list it was given", "a map in place of a list", "makes line ends visible, too"),
    "soft_prompts": (
        "batch dimension left in",
        "squeezes every dimension of size 1",
        "only where all parts have one number format",
    ),
    "without_queries": ("any number is a query", "an empty list is an error", "eats the list"),
    "caption": ("default length", "at most 50 tokens", "loads the model at each call", "spaces left in"),
    "complete": (
        "at most 12 new tokens",
        "the prompt is trimmed",
        "loads the model at each call",
        "spaces left in",
    ),
    "answer": ("the first word only", "spaces left in"),
    "chat_prompt": (
        "two full stops",
        "eats the memory",
        "earlier questions keep their spaces",
        "question marks are put where there are none",
    ),
    "Conversation": (
        "one list for all",
        "one default list for all",
        "one picture for all",
        "reset keeps the list",
        "keeps a prompt beside its memory",
    ),
}
"""Faults that miss an edge alone: what the exercise is about is right, so they keep at least half of the points."""
