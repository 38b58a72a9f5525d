"""Answers to the exercises of notebook 01: right ones, written differently, and mistakes that students make.

Each is the whole text of an exercise's cell. It runs after the notebook's set-up cells; another exercise's function
that it calls is there as in the solution.
"""

ADD_NOISE = """
def add_noise(x0, noise, t, alphas_cumprod):
    {body}
"""

LOSS = """
def noise_prediction_loss(unet, scheduler, latents, text_states, noise, t):
    {body}
"""

GUIDE = """
def guide(noise_uncond, noise_text, scale):
    {body}
"""

# The parts of sampling loops; a mistake is made in one of them.
SAMPLE = """
@torch.no_grad()
def sample_latents(pipe, prompt, *, steps=25, guidance_scale=4.0, generator=None):
    text, empty = pipe.encode_prompt(prompt, pipe.device, 1, True)
    states = torch.cat([empty, text])
    pipe.scheduler.set_timesteps({steps})
    shape = (1, pipe.unet.config.in_channels, pipe.unet.config.sample_size, pipe.unet.config.sample_size)
    latents = torch.randn(shape, generator={generator}){sigma}
    for t in pipe.scheduler.timesteps:
        twice = {scaled}
        first, second = pipe.unet(twice, t, encoder_hidden_states=states).sample.chunk(2)
        guess = {guided}
        latents = pipe.scheduler.step(guess, t, latents{extra}).prev_sample
    return latents{end}
"""
SAMPLE_RIGHT = {
    "steps": "steps",
    "generator": "generator",
    "sigma": " * pipe.scheduler.init_noise_sigma",
    "scaled": "pipe.scheduler.scale_model_input(torch.cat([latents] * 2), t)",
    "guided": "first + guidance_scale * (second - first)",
    "extra": ", **pipe.prepare_extra_step_kwargs(generator, 0.0)",
    "end": "",
}

GENERATE = """
def generate_images(prompt, n=1, *, seed=0, steps=25, guidance_scale=4.0):
    {body}
"""

SWEEP = """
def steps_sweep(prompt, steps, *, seed=0):
    {body}
"""

SCORE_OF = """

def score_of(prompt, n, seed):
    options = {"num_inference_steps": n, "guidance_scale": 4.0, "generator": torch.Generator().manual_seed(seed)}
    return float(clip.similarity([prompt], load("diffusion")(prompt, **options).images)[0, 0])
"""
FRESH = """

def fresh():
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(settings.models_dir / "diffusion", safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
"""

# Editing a picture, all of it or a part; a mistake is made in one of the parts.
EDIT = """
@torch.no_grad()
def img2img(pipe, picture, prompt, *, strength={default}, steps=25, guidance_scale=4.0, seed=0):
    {check}
    scheduler = pipe.scheduler
    generator = torch.Generator().manual_seed({seed})
    pixels = pipe.image_processor.preprocess(picture).to(pipe.device)
    known = pipe.vae.encode(pixels).latent_dist.{latents}
    noise = torch.randn(known.shape, generator=generator)
    scheduler.set_timesteps(steps)
    left = {left}
    timesteps = scheduler.timesteps[len(scheduler.timesteps) - left:]
    if {pure}:
        latents = noise * scheduler.init_noise_sigma
    elif left:
        latents = {start}
    else:
        latents = {nothing}
    with_text, without = pipe.encode_prompt(prompt, pipe.device, 1, True)
    for t in timesteps:
        seen = {seen}
        answers = [pipe.unet(seen, t, states).sample for states in (without, with_text)]
        latents = scheduler.step({guided}, t, latents).prev_sample
    return pipe.image_processor.postprocess(pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample)[0]
"""
EDIT_RIGHT = {
    "default": "0.6",
    "check": 'if strength < 0 or strength > 1:\n        raise ValueError("strength is a share, from 0 to 1")',
    "seed": "seed",
    "latents": "mode() * pipe.vae.config.scaling_factor",
    "left": "int(steps * strength)",
    "pure": "left == steps",
    "start": "scheduler.add_noise(known, noise, timesteps[:1])",
    "nothing": "known",
    "seen": "scheduler.scale_model_input(latents, t)",
    "guided": "guide(*answers, guidance_scale)",
}
INPAINT = """
@torch.no_grad()
def inpaint(pipe, picture, mask, prompt, *, steps=25, guidance_scale=4.0, seed=0):
    {check}
    known = to_latents([picture])
    cells = mask.resize(known.shape[-2:], Image.Resampling.{filter})
    white = torch.tensor(np.array(cells, dtype="float32") / 255)
    white = {white}
    generator = torch.Generator().manual_seed({seed})
    latents = noise = torch.randn(known.shape, generator=generator)
    latents = latents{sigma}
    text, empty = pipe.encode_prompt(prompt, pipe.device, 1, True)
    pipe.scheduler.set_timesteps(steps)
    {before}
    for i, t in enumerate(pipe.scheduler.timesteps):
        {back}
        seen = pipe.scheduler.scale_model_input(torch.cat([latents] * 2), t)
        first, second = pipe.unet(seen, t, encoder_hidden_states=torch.cat([empty, text])).sample.chunk(2)
        guess = guide(first, second, {scale})
        latents = pipe.scheduler.step(guess, t, latents).prev_sample
        {after}
    drawn = to_pictures(latents)[0]
    return {pasted}
"""
INPAINT_RIGHT = {
    "check": 'if mask.size != picture.size or mask.mode != "L":\n        raise ValueError("mask and picture do not fit")',
    "filter": "BOX",
    "white": "white",
    "seed": "seed",
    "sigma": " * pipe.scheduler.init_noise_sigma",
    "before": "",
    "back": "latents = white * latents + (1 - white) * pipe.scheduler.add_noise(known, noise, t[None])",
    "scale": "guidance_scale",
    "after": "",
    "pasted": "Image.composite(drawn, picture, mask)",
}

# A fine-tuning loop; a mistake is made in one of its parts.
TUNE = """
def fine_tune(pipe, images, prompt, *, max_steps=40):
    from peft import LoraConfig, get_peft_model_state_dict

    unet, generator = pipe.unet, torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    rng = Random(0)
    old_prompts = [describe(random_scene(rng), rng) for _ in range({old})]
    with torch.no_grad():
        pixels = pipe.image_processor.preprocess(images)
        latents = pipe.vae.encode(pixels).latent_dist.mean{scaling}
        if old_prompts:
            options = dict(num_inference_steps=8, guidance_scale=4.0, output_type="latent")
            latents = torch.cat([latents, pipe(old_prompts, generator=generator, **options).images])
        states = pipe.encode_prompt([prompt] * len(images) + old_prompts, pipe.device, 1, False)[0]
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=8, lora_alpha={alpha}, target_modules={targets}), "{name}")
    {trained}
    optimizer = torch.optim.AdamW([p for p in unet.parameters() if p.requires_grad], lr={rate})
    scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
    for _ in range({steps}):
        chosen = torch.randint(len(latents), (8,), generator=generator)
        noise = torch.randn(8, *latents.shape[1:], generator=generator)
        t = torch.randint(0, 1000, (8,), generator=generator)
        noisy = scheduler.add_noise(latents[chosen], noise, t)
        target = {target}
        loss = F.mse_loss(unet(noisy, t, states[chosen]).sample, target)
        loss.backward()
        {step}
        optimizer.zero_grad()
    return {returned}
"""
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
TUNE_RIGHT = {
    "old": "6",
    "scaling": " * pipe.vae.config.scaling_factor",
    "alpha": "8",
    "targets": [*ATTENTION, "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2"],
    "name": "mine",
    "trained": "",
    "rate": "2e-3",
    "steps": "max_steps",
    "target": "scheduler.get_velocity(latents[chosen], noise, t)",
    "step": "optimizer.step()",
    "returned": 'get_peft_model_state_dict(unet, adapter_name="mine")',
}

RIGHT = {
    "add_noise": [
        ADD_NOISE.format(
            body="""a = alphas_cumprod.to(device=x0.device)[t].view(-1, *[1] * (x0.ndim - 1))
    return (a**0.5 * x0 + (1 - a) ** 0.5 * noise).to(x0.dtype)"""
        ),
        ADD_NOISE.format(
            body="""moments = torch.full((len(x0),), t) if isinstance(t, int) else t
    signal = torch.sqrt(alphas_cumprod)[moments].to(x0.dtype)
    grain = torch.sqrt(1 - alphas_cumprod)[moments].to(x0.dtype)
    return torch.einsum("b,bchw->bchw", signal, x0) + torch.einsum("b,bchw->bchw", grain, noise)"""
        ),
        ADD_NOISE.format(
            body="""if torch.is_tensor(t):
        parts = [add_noise(x0[i : i + 1], noise[i : i + 1], int(t[i]), alphas_cumprod) for i in range(len(t))]
        return torch.cat(parts)
    share = float(alphas_cumprod[t])
    result = x0.clone()
    result *= share**0.5
    result += (1 - share) ** 0.5 * noise
    return result"""
        ),
        """
def add_noise(x0, noise, t, alphas_cumprod):
    share = alphas_cumprod[t].double()
    while share.dim() and share.dim() < x0.dim():
        share = share.unsqueeze(-1)
    mixed = share.sqrt() * x0.double() + (1 - share).sqrt() * noise.double()
    return mixed.to(x0)
""",
    ],
    "noise_prediction_loss": [
        LOSS.format(
            body="""noisy = scheduler.add_noise(latents, noise, t)
    guess = unet(noisy, t, text_states, return_dict=False)[0]
    match scheduler.config.prediction_type:
        case "v_prediction":
            return ((guess - scheduler.get_velocity(latents, noise, t)) ** 2).mean()
        case "epsilon":
            return ((guess - noise) ** 2).mean()
        case other:
            raise ValueError(other)"""
        ),
        LOSS.format(
            body="""a = scheduler.alphas_cumprod[t].reshape(-1, 1, 1, 1)
    x_t = a.sqrt() * latents + (1 - a).sqrt() * noise
    targets = {"epsilon": noise, "v_prediction": a.sqrt() * noise - (1 - a).sqrt() * latents}
    if scheduler.config.prediction_type not in targets:
        raise ValueError("unknown prediction_type")
    error = unet(sample=x_t, timestep=t, encoder_hidden_states=text_states).sample
    error = error - targets[scheduler.config.prediction_type]
    return error.pow(2).flatten(1).mean(1).mean()"""
        ),
        """
def noise_prediction_loss(unet, scheduler, latents, text_states, noise, t):
    abar = scheduler.alphas_cumprod.to(latents)[t].view(-1, 1, 1, 1)
    targets = {"epsilon": lambda: noise, "v_prediction": lambda: abar**0.5 * noise - (1 - abar) ** 0.5 * latents}
    kind = scheduler.config.prediction_type
    if kind not in targets:
        raise ValueError(f"prediction_type {kind!r} is not known")
    (guess,) = unet(scheduler.add_noise(latents, noise, t), t, text_states, return_dict=False)
    return torch.nn.MSELoss()(guess, targets[kind]())
""",
    ],
    "guide": [
        GUIDE.format(body="return torch.lerp(noise_uncond, noise_text, float(scale))"),
        GUIDE.format(body="return scale * noise_text + (1 - scale) * noise_uncond"),
        GUIDE.format(
            body="""step = noise_text.clone()
    step -= noise_uncond
    return noise_uncond + step.mul_(scale)"""
        ),
        """def guide(noise_uncond, noise_text, scale):
    return torch.add(noise_uncond, noise_text - noise_uncond, alpha=scale)
""",
    ],
    "sample_latents": [
        SAMPLE.format(**SAMPLE_RIGHT),
        """
import inspect

def sample_latents(pipe, prompt, *, steps=25, guidance_scale=4.0, generator=None):
    def encode(text):
        tokens = pipe.tokenizer(text, padding="max_length", truncation=True, return_tensors="pt",
                                max_length=pipe.tokenizer.model_max_length)
        return pipe.text_encoder(tokens.input_ids)[0]

    with torch.inference_mode():
        with_text, without = encode(prompt), encode("")
        scheduler = pipe.scheduler
        scheduler.set_timesteps(num_inference_steps=steps)
        wanted = inspect.signature(scheduler.step).parameters
        more = {"generator": generator} if "generator" in wanted else {}
        side = pipe.unet.config.sample_size * pipe.vae_scale_factor
        latents = pipe.prepare_latents(1, pipe.unet.config.in_channels, side, side, with_text.dtype, pipe.device,
                                       generator)
        for t in scheduler.timesteps:
            seen = scheduler.scale_model_input(latents, t)
            uncond = pipe.unet(seen, t, without, return_dict=False)[0]
            text = pipe.unet(seen, t, with_text, return_dict=False)[0]
            latents = scheduler.step(guide(uncond, text, guidance_scale), t, latents,
                                     return_dict=False, **more)[0]
    return latents
""",
    ],
    "generate_images": [
        GENERATE.format(
            body="""generator = torch.Generator().manual_seed(seed)
    options = dict(num_images_per_prompt=n, num_inference_steps=steps, guidance_scale=guidance_scale)
    return load("diffusion")(prompt, generator=generator, **options).images"""
        ),
        GENERATE.format(
            body="""pictures = []
    for i in range(n):
        generator = torch.Generator().manual_seed(seed * 7919 + i)
        latents = sample_latents(
            load("diffusion"), prompt, steps=steps, guidance_scale=guidance_scale, generator=generator
        )
        pictures += to_pictures(latents)
    return pictures"""
        ),
        GENERATE.format(
            body="""torch.manual_seed(seed)
    options = {"num_inference_steps": steps, "guidance_scale": guidance_scale}
    return [pipe(prompt, **options).images[0] for _ in range(n)]"""
        ),
        """
def generate_images(prompt, n=1, *, seed=0, steps=25, guidance_scale=4.0):
    generators = [torch.Generator().manual_seed(seed + i) for i in range(n)]
    return load("diffusion")([prompt] * n, num_inference_steps=steps, guidance_scale=guidance_scale, generator=generators).images
""",
        """
def generate_images(prompt, n=1, *, seed=0, steps=25, guidance_scale=4.0):
    generator = torch.Generator().manual_seed(seed)
    options = {"num_inference_steps": steps, "guidance_scale": guidance_scale, "num_images_per_prompt": n}
    return load("diffusion")(prompt, generator=generator, **options).images
""",
    ],
    "steps_sweep": [
        SWEEP.format(
            body="""scores = {}
    for n in steps:
        latents = sample_latents(pipe, prompt, steps=n, generator=torch.Generator().manual_seed(seed))
        scores[n] = clip.similarity([prompt], to_pictures(latents)).item()
    return scores"""
        ),
        SWEEP.format(
            body="""def score(n):
        torch.manual_seed(seed)
        picture = load("diffusion")(prompt, num_inference_steps=n, guidance_scale=4).images[0]
        return float(clip.embed_texts([prompt])[0] @ clip.embed_images([picture])[0])

    return {n: score(n) for n in steps}"""
        ),
    ],
    "img2img": [
        EDIT.format(**EDIT_RIGHT),
        """
@torch.no_grad()
def img2img(pipe, picture, prompt, *, strength=0.6, steps=25, guidance_scale=4.0, seed=0):
    if not (0 <= strength <= 1):
        raise ValueError(f"strength {strength} is not between 0 and 1")
    generator = torch.Generator().manual_seed(seed)
    latents = to_latents([picture])
    noise = torch.randn(latents.shape, generator=generator)
    pipe.scheduler.set_timesteps(steps)
    skipped = steps - int(steps * strength)
    for i, t in enumerate(pipe.scheduler.timesteps):
        if i < skipped:
            continue
        if i == skipped and strength < 1:
            latents = pipe.scheduler.add_noise(latents, noise, t.reshape(1))
        elif i == skipped:
            latents = noise * pipe.scheduler.init_noise_sigma
        states = torch.cat(pipe.encode_prompt(prompt, pipe.device, 1, True)[::-1])
        seen = pipe.scheduler.scale_model_input(torch.cat([latents] * 2), t)
        uncond, text = pipe.unet(seen, t, states, return_dict=False)[0].chunk(2)
        latents = pipe.scheduler.step(uncond + guidance_scale * (text - uncond), t, latents, return_dict=False)[0]
    (result,) = to_pictures(latents)
    return result
""",
    ],
    "inpaint": [
        INPAINT.format(**INPAINT_RIGHT),
        INPAINT.format(
            **{
                **INPAINT_RIGHT,
                "filter": "BILINEAR",
                "white": "white > 0.5",
                # other noise each time, and put back after the step, with noise for the next one
                "before": "other = torch.Generator().manual_seed(seed + 1)",
                "back": "pass",
                "after": """if i + 1 < steps:
            fresh = torch.randn(known.shape, generator=other)
            back = pipe.scheduler.add_noise(known, fresh, pipe.scheduler.timesteps[i + 1 : i + 2])
            latents = torch.where(white, latents, back)""",
                "pasted": """Image.fromarray(
        np.where(np.array(mask)[..., None] > 127, np.array(drawn), np.array(picture))
    )""",
            }
        ),
    ],
    "fine_tune": [
        TUNE.format(**TUNE_RIGHT),  # names without "unet."; the adapter stays loaded
        """
def fine_tune(pipe, images, prompt, *, max_steps=60, seed=0):
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(seed)
    rng = Random(seed)
    scenes = [random_scene(rng) for _ in range(16)]
    old = [(draw(scene, size=images[0].width), describe(scene, rng)) for scene in scenes]
    pairs = [(image, prompt) for image in images] + old  # drawings of the old world keep the memory
    latents = to_latents([image for image, _ in pairs]).clone()
    with torch.no_grad():
        states, _ = pipe.encode_prompt([text for _, text in pairs], pipe.device, 1, False)
    pipe.unet.requires_grad_(False)
    pipe.unet.add_adapter(LoraConfig(r=16, lora_alpha=16, target_modules=["to_k", "to_v", "to_q", "to_out.0"]))
    weights = list(filter(lambda p: p.requires_grad, pipe.unet.parameters()))
    optimizer = torch.optim.Adam(weights, lr=2e-3)
    scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
    for step in range(max_steps):
        chosen = torch.randperm(len(pairs))[:12]
        loss = noise_prediction_loss(pipe.unet, scheduler, latents[chosen], states[chosen],
                                     torch.randn_like(latents[chosen]), torch.randint(0, 1000, (12,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    adapter = {f"unet.{k}": v.clone() for k, v in get_peft_model_state_dict(pipe.unet).items()}
    pipe.unload_lora_weights()  # the pipeline is left as it came
    return adapter
""",
    ],
}

WRONG = {
    "add_noise": [
        (
            "square roots forgotten",
            ADD_NOISE.format(
                body="""a = torch.as_tensor(alphas_cumprod[t]).reshape(-1, 1, 1, 1)
    return a * x0 + (1 - a) * noise"""
            ),
        ),
        (
            "picture and noise swapped",
            ADD_NOISE.format(
                body="""a = torch.as_tensor(alphas_cumprod[t]).reshape(-1, 1, 1, 1).to(x0.dtype)
    return (1 - a).sqrt() * x0 + a.sqrt() * noise"""
            ),
        ),
        (
            "t not reshaped for broadcasting",
            ADD_NOISE.format(
                body="""a = alphas_cumprod[t]
    return a.sqrt() * x0 + (1 - a).sqrt() * noise"""
            ),
        ),
        (
            "changes x0 in place",
            ADD_NOISE.format(
                body="""a = torch.as_tensor(alphas_cumprod[t]).reshape(-1, 1, 1, 1).to(x0.dtype)
    x0 *= a.sqrt()
    return x0 + (1 - a).sqrt() * noise"""
            ),
        ),
        (
            "every picture gets the first one's t",
            ADD_NOISE.format(
                body="""t = int(t[0]) if torch.is_tensor(t) else t
    a = alphas_cumprod[t].to(x0.dtype)
    return a.sqrt() * x0 + (1 - a).sqrt() * noise"""
            ),
        ),
        (
            "half precision becomes float32",
            ADD_NOISE.format(
                body="""a = torch.as_tensor(alphas_cumprod[t]).reshape(-1, 1, 1, 1)
    return a.sqrt() * x0 + (1 - a).sqrt() * noise"""
            ),
        ),
        (
            "everything becomes float32",
            ADD_NOISE.format(
                body="""a = torch.as_tensor(alphas_cumprod[t]).reshape(-1, 1, 1, 1)
    return a.sqrt() * x0.float() + (1 - a).sqrt() * noise.float()"""
            ),
        ),
        ("the picture as it came", ADD_NOISE.format(body="return x0.clone()")),
        (
            "the noise is scaled by 1 - sqrt(a)",
            ADD_NOISE.format(
                body="""a = torch.as_tensor(alphas_cumprod[t]).sqrt().reshape(-1, 1, 1, 1).to(x0.dtype)
    return a * x0 + (1 - a) * noise"""
            ),
        ),
    ],
    "noise_prediction_loss": [
        (
            "always compares with the noise",
            LOSS.format(
                body="""noisy = scheduler.add_noise(latents, noise, t)
    return F.mse_loss(unet(noisy, t, text_states).sample, noise)"""
            ),
        ),
        (
            "always compares with the velocity",
            LOSS.format(
                body="""noisy = scheduler.add_noise(latents, noise, t)
    return F.mse_loss(unet(noisy, t, text_states).sample, scheduler.get_velocity(latents, noise, t))"""
            ),
        ),
        (
            "no gradient flows",
            LOSS.format(
                body="""v = scheduler.config.prediction_type == "v_prediction"
    target = scheduler.get_velocity(latents, noise, t) if v else noise
    with torch.no_grad():
        guess = unet(scheduler.add_noise(latents, noise, t), t, text_states).sample
    return F.mse_loss(guess, target)"""
            ),
        ),
        (
            "shows the U-Net clean latents",
            LOSS.format(
                body="""v = scheduler.config.prediction_type == "v_prediction"
    target = scheduler.get_velocity(latents, noise, t) if v else noise
    return F.mse_loss(unet(latents, t, text_states).sample, target)"""
            ),
        ),
        (
            "velocity with the wrong sign",
            LOSS.format(
                body="""v = scheduler.config.prediction_type == "v_prediction"
    target = -scheduler.get_velocity(latents, noise, t) if v else noise
    return F.mse_loss(unet(scheduler.add_noise(latents, noise, t), t, text_states).sample, target)"""
            ),
        ),
        (
            "rolls noise of its own",
            LOSS.format(
                body="""noise = torch.randn_like(latents)
    v = scheduler.config.prediction_type == "v_prediction"
    target = scheduler.get_velocity(latents, noise, t) if v else noise
    return F.mse_loss(unet(scheduler.add_noise(latents, noise, t), t, text_states).sample, target)"""
            ),
        ),
        (
            "any other type is taken for the velocity",
            """
def noise_prediction_loss(unet, scheduler, latents, text_states, noise, t):
    noisy = add_noise(latents, noise, t, scheduler.alphas_cumprod)
    target = noise if scheduler.config.prediction_type == "epsilon" else scheduler.get_velocity(latents, noise, t)
    return F.mse_loss(unet(noisy, t, text_states).sample, target)
""",
        ),
        (
            "a KeyError for any other type",
            LOSS.format(
                body="""targets = {"epsilon": noise, "v_prediction": scheduler.get_velocity(latents, noise, t)}
    guess = unet(scheduler.add_noise(latents, noise, t), t, text_states).sample
    return F.mse_loss(guess, targets[scheduler.config.prediction_type])"""
            ),
        ),
        (
            "changes the latents in place",
            """
def noise_prediction_loss(unet, scheduler, latents, text_states, noise, t):
    kind = scheduler.config.prediction_type
    if kind not in ("epsilon", "v_prediction"):
        raise ValueError(f"unknown prediction_type {kind!r}")
    target = noise if kind == "epsilon" else scheduler.get_velocity(latents, noise, t)
    a = scheduler.alphas_cumprod[t].view(-1, 1, 1, 1)
    latents *= a.sqrt()
    latents += (1 - a).sqrt() * noise
    return F.mse_loss(unet(latents, t, text_states).sample, target)
""",
        ),
    ],
    "guide": [
        (
            "starts from the text",
            GUIDE.format(body="return noise_text + scale * (noise_text - noise_uncond)"),
        ),
        ("the two swapped", GUIDE.format(body="return noise_text + scale * (noise_uncond - noise_text)")),
        ("scales everything", GUIDE.format(body="return scale * (noise_uncond + noise_text - noise_uncond)")),
        (
            "changes its input in place",
            GUIDE.format(
                body="""noise_text -= noise_uncond
    return noise_uncond + scale * noise_text"""
            ),
        ),
        (
            "no brackets",
            GUIDE.format(body="return noise_uncond + scale * noise_text - noise_uncond"),
        ),
        (
            "no brackets, and no start",
            GUIDE.format(body="return scale * noise_text - noise_uncond"),
        ),
        (
            "refuses whole numbers",
            GUIDE.format(
                body="""if not isinstance(scale, float):
        raise TypeError("the scale should be a float")
    return noise_uncond + scale * (noise_text - noise_uncond)"""
            ),
        ),
        (
            "knows latents alone",
            GUIDE.format(
                body="""batch, channels, height, width = noise_uncond.shape
    difference = (noise_text - noise_uncond).reshape(batch, -1)
    return noise_uncond + (scale * difference).reshape(batch, channels, height, width)"""
            ),
        ),
        (
            "never goes beyond the text",
            GUIDE.format(body="return torch.lerp(noise_uncond, noise_text, min(scale, 1.0))"),
        ),
    ],
    "sample_latents": [
        (
            "lets the pipeline do it",
            """
def sample_latents(pipe, prompt, *, steps=25, guidance_scale=4.0, generator=None):
    return pipe(prompt, num_inference_steps=steps, guidance_scale=guidance_scale, generator=generator,
                output_type="latent").images
""",
        ),
        ("no init_noise_sigma", SAMPLE.format(**{**SAMPLE_RIGHT, "sigma": ""})),
        ("no scale_model_input", SAMPLE.format(**{**SAMPLE_RIGHT, "scaled": "torch.cat([latents] * 2)"})),
        (
            "text and empty prompt swapped",
            SAMPLE.format(**{**SAMPLE_RIGHT, "guided": "second + guidance_scale * (first - second)"}),
        ),
        ("no guidance", SAMPLE.format(**{**SAMPLE_RIGHT, "guided": "second"})),
        ("ignores the generator", SAMPLE.format(**{**SAMPLE_RIGHT, "generator": "None"})),
        ("schedulers draw noise of their own", SAMPLE.format(**{**SAMPLE_RIGHT, "extra": ""})),
        ("always 25 steps", SAMPLE.format(**{**SAMPLE_RIGHT, "steps": "25"})),
        ("latents clipped like pixels", SAMPLE.format(**{**SAMPLE_RIGHT, "end": ".clamp(-1, 1)"})),
        (
            "neither of the two scalings",
            SAMPLE.format(**{**SAMPLE_RIGHT, "sigma": "", "scaled": "torch.cat([latents] * 2)"}),
        ),
        (
            "the pipeline's own default settings",
            SAMPLE.format(**SAMPLE_RIGHT).replace("steps=25, guidance_scale=4.0", "steps=50, guidance_scale=7.5"),
        ),
        (
            "keeps gradients",
            SAMPLE.format(**SAMPLE_RIGHT).replace("@torch.no_grad()\n", ""),
        ),
    ],
    "generate_images": [
        (
            "ignores the seed",
            GENERATE.format(body="""return load("diffusion")([prompt] * n, num_inference_steps=25).images"""),
        ),
        (
            "n equal pictures",
            GENERATE.format(
                body="""generators = [torch.Generator().manual_seed(seed) for _ in range(n)]
    return load("diffusion")([prompt] * n, num_inference_steps=25, generator=generators).images"""
            ),
        ),
        (
            "loads the pipeline at each call",
            GENERATE.format(
                body="""from diffusers import StableDiffusionPipeline

    fresh = StableDiffusionPipeline.from_pretrained(settings.models_dir / "diffusion", safety_checker=None)
    fresh.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed + i) for i in range(n)]
    return fresh([prompt] * n, num_inference_steps=25, generator=generators).images"""
            ),
        ),
        (
            "one generator for all calls",
            """
the_generator = torch.Generator().manual_seed(0)


def generate_images(prompt, n=1, *, seed=0):
    return load("diffusion")([prompt] * n, num_inference_steps=25, generator=the_generator).images
""",
        ),
        (
            "a picture, not a list",
            GENERATE.format(
                body="""generator = torch.Generator().manual_seed(seed)
    return load("diffusion")(prompt, num_inference_steps=25, generator=generator).images[0]"""
            ),
        ),
        (
            "the seed is always 0",
            GENERATE.format(
                body="""generators = [torch.Generator().manual_seed(i) for i in range(n)]
    return load("diffusion")([prompt] * n, num_inference_steps=25, generator=generators).images"""
            ),
        ),
        (
            "the steps are not used",
            """
def generate_images(prompt, n=1, *, seed=0, steps=25, guidance_scale=4.0):
    generators = [torch.Generator().manual_seed(seed + i) for i in range(n)]
    return load("diffusion")([prompt] * n, num_inference_steps=25, guidance_scale=guidance_scale, generator=generators).images
""",
        ),
        (
            "the prompt is not used",
            GENERATE.format(
                body="""generators = [torch.Generator().manual_seed(seed + i) for i in range(n)]
    options = {"num_inference_steps": steps, "guidance_scale": guidance_scale, "generator": generators}
    return load("diffusion")([""] * n, **options).images"""
            ),
        ),
        (
            "the guidance is not used",
            """
def generate_images(prompt, n=1, *, seed=0, steps=25, guidance_scale=4.0):
    generators = [torch.Generator().manual_seed(seed + i) for i in range(n)]
    return load("diffusion")([prompt] * n, num_inference_steps=steps, guidance_scale=4.0, generator=generators).images
""",
        ),
        (
            "the pipeline's own steps and guidance",
            """
def generate_images(prompt, n=1, *, seed=0, steps=25, guidance_scale=4.0):
    generators = [torch.Generator().manual_seed(seed + i) for i in range(n)]
    return load("diffusion")([prompt] * n, num_inference_steps=15, generator=generators).images
""",
        ),
    ],
    "steps_sweep": [
        (
            "another seed for each number of steps",
            SWEEP.format(
                body="""generator = torch.Generator().manual_seed(seed)
    pictures = [pipe(prompt, num_inference_steps=n, guidance_scale=4.0, generator=generator).images[0] for n in steps]
    return {n: float(s) for n, s in zip(steps, clip.similarity([prompt], pictures)[0])}"""
            ),
        ),
        (
            "always 25 steps",
            SWEEP.format(
                body="""scores = {}
    for n in steps:
        picture = pipe(prompt, num_inference_steps=25, guidance_scale=4.0,
                       generator=torch.Generator().manual_seed(seed)).images[0]
        scores[n] = float(clip.similarity([prompt], [picture])[0, 0])
    return scores"""
            ),
        ),
        (
            "tables in place of numbers",
            SWEEP.format(
                body="""return {n: clip.similarity([prompt], pipe(prompt, num_inference_steps=n, guidance_scale=4.0,
            generator=torch.Generator().manual_seed(seed)).images) for n in steps}"""
            ),
        ),
        (
            "the seed is not used",
            SWEEP.format(
                body="""scores = {}
    for n in steps:
        picture = pipe(prompt, num_inference_steps=n, guidance_scale=4.0).images[0]
        scores[n] = float(clip.similarity([prompt], [picture])[0, 0])
    return scores"""
            ),
        ),
        (
            "a list of scores",
            SWEEP.format(
                body="""pictures = [pipe(prompt, num_inference_steps=n, guidance_scale=4.0,
                     generator=torch.Generator().manual_seed(seed)).images[0] for n in steps]
    return [float(score) for score in clip.similarity([prompt], pictures)[0]]"""
            ),
        ),
        (
            "smallest number of steps first",
            SWEEP.format(body="return {n: score_of(prompt, n, seed) for n in sorted(steps)}") + SCORE_OF,
        ),
        (
            "loads the pipeline for each picture",
            SWEEP.format(body="return {n: score_of(prompt, n, seed) for n in steps}")
            + SCORE_OF.replace('load("diffusion")', "fresh()")
            + FRESH,
        ),
        (
            "the pipeline's own guidance",
            SWEEP.format(body="return {n: score_of(prompt, n, seed) for n in steps}") + SCORE_OF.replace("4.0", "7.5"),
        ),
        (
            "the seed is always 0",
            SWEEP.format(body="return {n: score_of(prompt, n, 0) for n in steps}") + SCORE_OF,
        ),
    ],
    "img2img": [
        ("no noise is added", EDIT.format(**{**EDIT_RIGHT, "start": "known"})),
        (
            "the strength the wrong way round",
            EDIT.format(**{**EDIT_RIGHT, "left": "int(steps * (1 - strength))"}),
        ),
        ("one step too many", EDIT.format(**{**EDIT_RIGHT, "left": "min(int(steps * strength) + 1, steps)"})),
        ("no scaling factor", EDIT.format(**{**EDIT_RIGHT, "latents": "mean"})),
        (
            "a sample of the latents",
            EDIT.format(**{**EDIT_RIGHT, "latents": "sample(generator) * pipe.vae.config.scaling_factor"}),
        ),
        ("from the text alone", EDIT.format(**{**EDIT_RIGHT, "pure": "left"})),
        ("no guidance", EDIT.format(**{**EDIT_RIGHT, "guided": "answers[1]"})),
        ("the seed is always 0", EDIT.format(**{**EDIT_RIGHT, "seed": "0"})),
        (
            "diffusers does it",
            """
def img2img(pipe, picture, prompt, *, strength=0.6, steps=25, guidance_scale=4.0, seed=0):
    from diffusers import StableDiffusionImg2ImgPipeline

    editor = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    return editor(prompt, picture, strength=strength, num_inference_steps=steps, guidance_scale=guidance_scale,
                  generator=torch.Generator().manual_seed(seed)).images[0]
""",
        ),
        ("the picture shines through at strength 1", EDIT.format(**{**EDIT_RIGHT, "pure": "False"})),
        ("any strength will do", EDIT.format(**{**EDIT_RIGHT, "check": "strength = min(max(strength, 0), 1)"})),
        ("the steps rounded to the nearest", EDIT.format(**{**EDIT_RIGHT, "left": "round(steps * strength)"})),
        ("strength 0.8 by default", EDIT.format(**{**EDIT_RIGHT, "default": "0.8"})),
        (
            "schedulers that scale are forgotten",
            EDIT.format(**{**EDIT_RIGHT, "seen": "latents"}),
        ),
    ],
    "inpaint": [
        ("nothing is put back", INPAINT.format(**{**INPAINT_RIGHT, "back": "pass"})),
        (
            "put back once, before the loop",
            INPAINT.format(
                **{
                    **INPAINT_RIGHT,
                    "back": "pass",
                    "before": "latents = torch.where(white > 0, latents, pipe.scheduler.add_noise("
                    "known, noise, pipe.scheduler.timesteps[:1]))",
                }
            ),
        ),
        (
            "put back without noise",
            INPAINT.format(**{**INPAINT_RIGHT, "back": "latents = white * latents + (1 - white) * known"}),
        ),
        (
            "put back with the noise of the step before",
            INPAINT.format(
                **{
                    **INPAINT_RIGHT,
                    "back": "pass",
                    "after": "latents = white * latents + (1 - white) * pipe.scheduler.add_noise(known, noise, t[None])",
                }
            ),
        ),
        (
            "black and white swapped",
            INPAINT.format(
                **{**INPAINT_RIGHT, "white": "1 - white", "pasted": "Image.composite(picture, drawn, mask)"}
            ),
        ),
        ("the old pixels are not pasted", INPAINT.format(**{**INPAINT_RIGHT, "pasted": "drawn"})),
        ("the seed is not used", INPAINT.format(**{**INPAINT_RIGHT, "seed": "0"})),
        ("no guidance", INPAINT.format(**{**INPAINT_RIGHT, "scale": "1.0"})),
        (
            "the picture as it came",
            """
def inpaint(pipe, picture, mask, prompt, *, steps=25, guidance_scale=4.0, seed=0):
    if mask.size != picture.size or mask.mode != "L":
        raise ValueError("mask and picture do not fit")
    return picture.copy()
""",
        ),
        (
            "two pictures glued together",
            """
def inpaint(pipe, picture, mask, prompt, *, steps=25, guidance_scale=4.0, seed=0):
    if mask.size != picture.size or mask.mode != "L":
        raise ValueError("mask and picture do not fit")
    latents = sample_latents(
        pipe, prompt, steps=steps, guidance_scale=guidance_scale, generator=torch.Generator().manual_seed(seed)
    )
    return Image.composite(to_pictures(latents)[0], picture, mask)
""",
        ),
        (
            "any mask will do",
            INPAINT.format(**{**INPAINT_RIGHT, "check": 'mask = mask.convert("L").resize(picture.size)'}),
        ),
        (
            "an assertion about the mask",
            INPAINT.format(**{**INPAINT_RIGHT, "check": 'assert mask.size == picture.size and mask.mode == "L"'}),
        ),
        ("no init_noise_sigma", INPAINT.format(**{**INPAINT_RIGHT, "sigma": ""})),
        (
            "pastes into the picture that was given",
            INPAINT.format(
                **{
                    **INPAINT_RIGHT,
                    "pasted": "(picture.paste(drawn, (0, 0), mask), picture)[1]",
                }
            ),
        ),
    ],
    "fine_tune": [
        ("never takes a step", TUNE.format(**{**TUNE_RIGHT, "step": "pass"})),
        ("too few steps to learn anything", TUNE.format(**{**TUNE_RIGHT, "steps": "3"})),
        (
            "guesses the noise, but the model was trained on v",
            TUNE.format(**{**TUNE_RIGHT, "target": "noise"}),
        ),
        (
            "the U-Net's own weights are trained too",
            TUNE.format(**{**TUNE_RIGHT, "trained": "unet.requires_grad_(True)"}),
        ),
        (
            'no prior preservation, the adapter named "new"',
            TUNE.format(
                **{
                    **TUNE_RIGHT,
                    "old": "0",
                    "name": "new",
                    "returned": 'get_peft_model_state_dict(unet, adapter_name="new")',
                }
            ),
        ),
        ("always 40 steps", TUNE.format(**{**TUNE_RIGHT, "steps": "40"})),
        ("returns nothing", TUNE.format(**{**TUNE_RIGHT, "returned": "None"})),
        ("lora_alpha is twice r", TUNE.format(**{**TUNE_RIGHT, "alpha": "16"})),
    ],
}

PARTIAL = {
    "add_noise": (
        "changes x0 in place",
        "half precision becomes float32",
        "everything becomes float32",
    ),
    "noise_prediction_loss": (
        "any other type is taken for the velocity",
        "a KeyError for any other type",
        "changes the latents in place",
    ),
    "guide": ("changes its input in place", "refuses whole numbers", "knows latents alone"),
    "sample_latents": (
        "schedulers draw noise of their own",
        "the pipeline's own default settings",
        "keeps gradients",
    ),
    "generate_images": (
        "loads the pipeline at each call",
        "the steps are not used",
        "the guidance is not used",
        "the pipeline's own steps and guidance",
    ),
    "steps_sweep": (
        "tables in place of numbers",
        "smallest number of steps first",
        "loads the pipeline for each picture",
    ),
    "img2img": (
        "any strength will do",
        "the steps rounded to the nearest",
        "strength 0.8 by default",
        "schedulers that scale are forgotten",
    ),
    "inpaint": (
        "any mask will do",
        "an assertion about the mask",
        "no init_noise_sigma",
        "pastes into the picture that was given",
    ),
    "fine_tune": ("always 40 steps", "returns nothing", "lora_alpha is twice r"),
}
"""Faults that miss an edge alone: what the exercise is about is right, so they keep at least half of the points."""
