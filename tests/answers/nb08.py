"""Answers to the exercises of notebook 08: right ones, written differently, and mistakes that students make.

Each is the whole text of an exercise's cell. It runs after the notebook's set-up cells; another exercise's function
that it calls is there as in the solution.
"""

LINE = """
def interpolate(x0, x1, t):
    {body}
"""
RESHAPED = """t = torch.as_tensor(t, dtype=x0.dtype)
    t = t.reshape(t.shape + (1,) * (x0.ndim - 1)) if t.ndim else t
    """

LOSS = """
def flow_matching_loss(model, x1, condition, *, x0, t):
    {body}
"""

# The parts of an Euler loop; a mistake is made in one of them.
EULER = """
{above}
def euler_sample(model, x0, condition, steps):
    {guard}
    x = {start}
    for i in range({steps}):
        t = {time}
        {step}
    return x
"""
EULER_RIGHT = {
    "above": "@torch.no_grad()",
    "guard": """if steps < 1:
        raise ValueError(f"{steps} steps lead nowhere")""",
    "start": "x0.clone()",
    "steps": "steps",
    "time": "torch.full((len(x0),), i / steps)",
    "step": "x += model(x, t, condition) / steps",
}

GUIDED = """
def guided(model, scale):
    def velocity(x, t, condition):
        empty, wanted = model(x, t, None), model(x, t, condition)
        return {formula}
    return velocity
"""

CUT = """
def patchify_tokens(x, patch):
    b, c, h, w = x.shape
    {guard}
    {body}
"""
CUT_GUARD = """if h % patch or w % patch:
        raise ValueError(f"{h} × {w} is no multiple of {patch}")"""
BLOCKS = "x = x.reshape(b, c, h // patch, patch, w // patch, patch)\n    "

JOIN = """
def unpatchify(tokens, patch, channels):
    b, n, width = tokens.shape
    rows = int(n**0.5 + 0.5)
    {guard}
    {body}
"""
JOIN_GUARD = """if rows * rows != n or width != channels * patch * patch:
        raise ValueError("not the tokens of a square picture")"""
SPLIT = "x = tokens.reshape(b, rows, rows, channels, patch, patch)\n    "

# The parts of a training loop; a mistake is made in one of them.
TRAIN = """
def train(model, draw_batch, *, seconds, seed):
    generator = torch.Generator(){seeded}
    optimizer = torch.optim.AdamW(model.parameters(), lr={rate})
    losses, start = [], {clock}
    while {clock} - start < {seconds}:
        x1, condition = draw_batch()
        x0 = {noise}
        t = torch.rand(len(x1), generator=generator)
        {leave_out}
        loss = flow_matching_loss(model, x1, condition, x0=x0, t=t)
        {zero}
        loss.backward()
        {step}
        {kept}
    return {result}
"""
TRAIN_RIGHT = {
    "seeded": ".manual_seed(seed)",
    "rate": "2e-3",
    "clock": "time.perf_counter()",
    "seconds": "seconds",
    "noise": "torch.randn(x1.shape, generator=generator)",
    "leave_out": "condition = None if len(losses) % 10 == 5 else condition",
    "zero": "optimizer.zero_grad()",
    "step": "optimizer.step()",
    "kept": "losses.append(loss.item())",
    "result": "model, losses",
}

RIGHT = {
    "interpolate": [
        LINE.format(body=RESHAPED + "return torch.lerp(x0, x1, t.expand_as(x0))"),
        LINE.format(body=RESHAPED + "return x0 - t * x0 + t * x1"),
    ],
    "flow_matching_loss": [
        LOSS.format(body="return (model(interpolate(x0, x1, t), t, condition) - x1 + x0).square().mean()"),
        LOSS.format(
            body="""xt = x0.lerp(x1, t.view(-1, *(1,) * (x1.ndim - 1)))
    return torch.mean((x1 - x0 - model(xt, t, condition)) ** 2)"""
        ),
    ],
    "euler_sample": [
        EULER.format(**EULER_RIGHT),
        """
def euler_sample(model, x0, condition, steps):
    if steps < 1:
        raise ValueError("at least one step")
    x, times = x0, torch.linspace(0, 1, steps + 1)
    with torch.inference_mode():
        for now, then in zip(times, times[1:]):
            x = x + (then - now) * model(x, now.repeat(len(x)), condition)
    return x
""",
    ],
    "guided": [
        GUIDED.format(formula="(1 - scale) * empty + scale * wanted"),
        """
class Guided:
    def __init__(self, model, scale):
        self.model, self.scale = model, scale

    def __call__(self, x, t, condition=None):
        empty = self.model(x, t, None)
        if condition is None:
            return empty
        return torch.lerp(empty, self.model(x, t, condition), self.scale)


def guided(model, scale):
    return Guided(model, scale)
""",
    ],
    "patchify_tokens": [
        CUT.format(guard=CUT_GUARD, body="return F.unfold(x, patch, stride=patch).transpose(1, 2)"),
        CUT.format(guard=CUT_GUARD, body=BLOCKS + "return x.permute(0, 2, 4, 1, 3, 5).flatten(1, 2).flatten(2)"),
    ],
    "unpatchify": [
        JOIN.format(guard=JOIN_GUARD, body="return F.fold(tokens.mT, rows * patch, patch, stride=patch)"),
        JOIN.format(
            guard=JOIN_GUARD,
            body="""lines = tokens.reshape(b, rows, rows, channels, patch, patch).split(1, dim=2)
    x = torch.cat([line.squeeze(2) for line in lines], dim=-1)  # (b, rows, channels, patch, width)
    return x.permute(0, 2, 1, 3, 4).flatten(2, 3)""",
        ),
    ],
    "train": [
        TRAIN.format(**TRAIN_RIGHT),
        """
def train(model, draw_batch, *, seconds, seed):
    own = torch.Generator()
    own.manual_seed(seed)
    trained = model
    optimizer = torch.optim.Adam(trained.parameters(), lr=3e-3)
    end = time.monotonic() + seconds
    begun, losses = time.monotonic(), []
    while time.monotonic() < end:
        x1, condition = draw_batch()
        done = min(1, (time.monotonic() - begun) / seconds)
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - done)
        x0 = torch.empty_like(x1).normal_(generator=own)
        t = torch.empty(len(x1)).uniform_(generator=own)
        without = torch.rand((), generator=own).item() < 0.12
        loss = flow_matching_loss(trained, x1, None if without else condition, x0=x0, t=t)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses += [float(loss.detach())]
    return trained.eval(), losses
""",
    ],
}

WRONG = {
    "interpolate": [
        ("the ends are swapped", LINE.format(body=RESHAPED + "return t * x0 + (1 - t) * x1")),
        ("the noise does not fade", LINE.format(body=RESHAPED + "return x0 + t * x1")),
        (
            "the square roots of diffusion",
            LINE.format(
                body="t = torch.as_tensor(t, dtype=torch.float64)\n    t = t.reshape(-1, *[1] * (x0.ndim - 1)) if t.ndim "
                "else t\n    return ((1 - t).sqrt() * x0 + t.sqrt() * x1).to(x0.dtype)"
            ),
        ),
        ("one time for all only", LINE.format(body="return (1 - t) * x0 + t * x1")),
        (
            "points and pictures, and nothing else",
            LINE.format(
                body="""if torch.is_tensor(t):
        t = t.to(x0.dtype).reshape((-1, 1) if x0.ndim == 2 else (-1, 1, 1, 1))
    return (1 - t) * x0 + t * x1"""
            ),
        ),
        (
            "half precision becomes single",
            LINE.format(
                body="""if torch.is_tensor(t):
        t = t.float().reshape(-1, *[1] * (x0.ndim - 1))
    return (1 - t) * x0 + t * x1"""
            ),
        ),
        (
            "the noise is overwritten",
            LINE.format(body=RESHAPED + "x0 *= 1 - t\n    x0 += t * x1\n    return x0"),
        ),
    ],
    "flow_matching_loss": [
        (
            "the velocity has the wrong sign",
            LOSS.format(body="return F.mse_loss(model(interpolate(x0, x1, t), t, condition), x0 - x1)"),
        ),
        (
            "predicts the data",
            LOSS.format(body="return F.mse_loss(model(interpolate(x0, x1, t), t, condition), x1)"),
        ),
        (
            "predicts what is left of the way",
            LOSS.format(body="xt = interpolate(x0, x1, t)\n    return F.mse_loss(model(xt, t, condition), x1 - xt)"),
        ),
        ("the model sees the data", LOSS.format(body="return F.mse_loss(model(x1, t, condition), x1 - x0)")),
        (
            "a sum",
            LOSS.format(
                body="return F.mse_loss(model(interpolate(x0, x1, t), t, condition), x1 - x0, reduction='sum')"
            ),
        ),
        (
            "noise of its own",
            LOSS.format(
                body="""x0 = torch.randn_like(x1)
    return F.mse_loss(model(interpolate(x0, x1, t), t, condition), x1 - x0)"""
            ),
        ),
        (
            "the condition is lost",
            LOSS.format(body="return F.mse_loss(model(interpolate(x0, x1, t), t, None), x1 - x0)"),
        ),
        (
            "a number, through which no gradient flows",
            LOSS.format(body="return F.mse_loss(model(interpolate(x0, x1, t), t, condition), x1 - x0).detach()"),
        ),
        (
            "the times are reshaped for the model, too",
            LOSS.format(
                body="""t = t.reshape(-1, *[1] * (x1.ndim - 1))
    return F.mse_loss(model((1 - t) * x0 + t * x1, t, condition), x1 - x0)"""
            ),
        ),
        (
            "zeros in place of no condition",
            LOSS.format(
                body="""condition = torch.zeros(len(x1), dtype=torch.long) if condition is None else condition
    return F.mse_loss(model(interpolate(x0, x1, t), t, condition), x1 - x0)"""
            ),
        ),
    ],
    "euler_sample": [
        ("each step is the whole way", EULER.format(**EULER_RIGHT | {"step": "x = x + model(x, t, condition)"})),
        (
            "the times of the ends",
            EULER.format(**EULER_RIGHT | {"time": "torch.full((len(x0),), (i + 1) / steps)"}),
        ),
        (
            "from 1 to 0, as in notebook 01",
            EULER.format(**EULER_RIGHT | {"time": "torch.full((len(x0),), 1 - i / steps)"}),
        ),
        (
            "the last step begins at 1",
            EULER.format(**EULER_RIGHT | {"time": "torch.full((len(x0),), i / max(1, steps - 1))"}),
        ),
        ("backwards", EULER.format(**EULER_RIGHT | {"step": "x = x - model(x, t, condition) / steps"})),
        ("a step too few", EULER.format(**EULER_RIGHT | {"steps": "steps - 1"})),
        (
            "every step from the noise",
            EULER.format(**EULER_RIGHT | {"step": "x = x + model(x0, t, condition) / steps"}),
        ),
        ("the time is a number", EULER.format(**EULER_RIGHT | {"time": "i / steps"})),
        (
            "the gradients are kept",
            EULER.format(**EULER_RIGHT | {"above": "", "step": "x = x + model(x, t, condition) / steps"}),
        ),
        ("the noise is overwritten", EULER.format(**EULER_RIGHT | {"start": "x0"})),
        ("no steps give noise", EULER.format(**EULER_RIGHT | {"guard": "pass"})),
    ],
    "guided": [
        ("brackets are missing", GUIDED.format(formula="empty + scale * wanted - empty")),
        ("starts from the condition", GUIDED.format(formula="wanted + scale * (wanted - empty)")),
        ("swapped", GUIDED.format(formula="wanted + scale * (empty - wanted)")),
        ("the scale is forgotten", GUIDED.format(formula="wanted")),
        (
            "a velocity in place of a model",
            """
def guided(model, scale):
    x, t = torch.zeros(2, 2), torch.zeros(2)
    return model(x, t, None)
""",
        ),
        (
            "the condition can't be left out",
            """
def guided(model, scale):
    def velocity(x, t, condition):
        empty = model(x, t, None)
        return empty + scale * (model(x, t, condition.clone()) - empty)
    return velocity
""",
        ),
        (
            "one scale for all models",
            """
SCALE = 1.0


def guided(model, scale):
    global SCALE
    SCALE = scale

    def velocity(x, t, condition):
        empty = model(x, t, None)
        return empty + SCALE * (model(x, t, condition) - empty)

    return velocity
""",
        ),
    ],
    "patchify_tokens": [
        ("a plain reshape", CUT.format(guard=CUT_GUARD, body="return x.reshape(b, -1, c * patch * patch)")),
        (
            "column by column",
            CUT.format(
                guard=CUT_GUARD, body=BLOCKS + "return x.permute(0, 4, 2, 1, 3, 5).reshape(b, -1, c * patch**2)"
            ),
        ),
        (
            "colours side by side",
            CUT.format(
                guard=CUT_GUARD, body=BLOCKS + "return x.permute(0, 2, 4, 3, 5, 1).reshape(b, -1, c * patch**2)"
            ),
        ),
        (
            "each patch lies on its side",
            CUT.format(
                guard=CUT_GUARD, body=BLOCKS + "return x.permute(0, 2, 4, 1, 5, 3).reshape(b, -1, c * patch**2)"
            ),
        ),
        ("unfold as it is", CUT.format(guard=CUT_GUARD, body="return F.unfold(x, patch, stride=patch)")),
        ("what does not fit is cut off", CUT.format(guard="pass", body="return F.unfold(x, patch, stride=patch).mT")),
    ],
    "unpatchify": [
        (
            "a plain reshape",
            JOIN.format(guard=JOIN_GUARD, body="return tokens.reshape(b, channels, rows * patch, rows * patch)"),
        ),
        (
            "column by column",
            JOIN.format(
                guard=JOIN_GUARD,
                body=SPLIT + "return x.permute(0, 3, 2, 4, 1, 5).reshape(b, channels, rows * patch, -1)",
            ),
        ),
        (
            "each patch lies on its side",
            JOIN.format(
                guard=JOIN_GUARD,
                body=SPLIT + "return x.permute(0, 3, 1, 5, 2, 4).reshape(b, channels, rows * patch, -1)",
            ),
        ),
        (
            "any number of tokens",
            JOIN.format(
                guard="""if width != channels * patch * patch:
        raise ValueError("not patches")
    tokens = tokens[:, : rows * rows] if rows * rows <= n else F.pad(tokens, (0, 0, 0, rows * rows - n))""",
                body=SPLIT + "return x.permute(0, 3, 1, 4, 2, 5).reshape(b, channels, rows * patch, -1)",
            ),
        ),
        (
            "an error of torch's for other contents",
            JOIN.format(
                guard="""if rows * rows != n:
        raise ValueError("not a square")""",
                body=SPLIT + "return x.permute(0, 3, 1, 4, 2, 5).reshape(b, channels, rows * patch, -1)",
            ),
        ),
    ],
    "train": [
        ("never learns without a condition", TRAIN.format(**TRAIN_RIGHT | {"leave_out": ""})),
        ("always learns without a condition", TRAIN.format(**TRAIN_RIGHT | {"leave_out": "condition = None"})),
        ("the optimizer never steps", TRAIN.format(**TRAIN_RIGHT | {"step": "", "seconds": "min(seconds, 0.3)"})),
        ("a learning rate far too small", TRAIN.format(**TRAIN_RIGHT | {"rate": "1e-5"})),
        ("the clock counts computing only", TRAIN.format(**TRAIN_RIGHT | {"clock": "time.process_time()"})),
        ("the seed is forgotten", TRAIN.format(**TRAIN_RIGHT | {"seeded": ".manual_seed(0)"})),
        ("no seed at all", TRAIN.format(**TRAIN_RIGHT | {"noise": "torch.randn_like(x1)"})),
        (
            "torch's own generator is seeded",
            TRAIN.format(**TRAIN_RIGHT | {"noise": "torch.randn_like(x1)"}).replace(
                "generator = torch.Generator().manual_seed(seed)", "generator = torch.manual_seed(seed)"
            ),
        ),
        ("losses are tensors", TRAIN.format(**TRAIN_RIGHT | {"kept": "losses.append(loss.detach())"})),
        (
            "a loss now and then",
            TRAIN.format(**TRAIN_RIGHT | {"kept": "losses.append(loss.item())", "result": "model, losses[::10]"}),
        ),
        ("only the model is returned", TRAIN.format(**TRAIN_RIGHT | {"result": "model"})),
    ],
}

PARTIAL = {
    "interpolate": {
        "points and pictures, and nothing else",
        "half precision becomes single",
        "the noise is overwritten",
    },
    "flow_matching_loss": {"the times are reshaped for the model, too", "zeros in place of no condition"},
    "euler_sample": {
        "the time is a number",
        "the gradients are kept",
        "the noise is overwritten",
        "no steps give noise",
    },
    "guided": {"the condition can't be left out", "one scale for all models"},
    "patchify_tokens": {"what does not fit is cut off"},
    "unpatchify": {"any number of tokens", "an error of torch's for other contents"},
    "train": {
        "never learns without a condition",
        "the clock counts computing only",
        "the seed is forgotten",
        "no seed at all",
        "torch's own generator is seeded",
        "losses are tensors",
        "a loss now and then",
    },
}
