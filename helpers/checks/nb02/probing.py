"""`train_head`: a linear probe on made-up features and on CLIP's, judged on held-out data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call, changed_weights, count_optimizer_steps
from helpers.checks.cases import Exercise
from helpers.checks.expect import expect
from helpers.checks.words import described

if TYPE_CHECKING:
    import torch

__all__ = ["train_head"]

SEEN = 120
ENOUGH = 0.75
"""The least accuracy, from 0 (always the most common answer) to 1 (the checks' own plain probe)."""

train_head = Exercise("train_head")


@train_head.given
def clouds(generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(features, answers): 180 points of length 1 in three clouds, tensor (180, 24), and the number of each's cloud."""
    import torch

    answers = torch.randint(0, 3, (180,), generator=generator)
    centres = torch.randn(3, 24, generator=generator)
    features = centres[answers] + 0.6 * torch.randn(180, 24, generator=generator)
    return torch.nn.functional.normalize(features, dim=-1), answers


@train_head.core(35)
def on_clouds(train_head, clouds) -> None:
    """right on held-out points of three clouds"""
    features, answers = clouds
    head = train_head(features[:SEEN].clone(), answers[:SEEN].clone())
    accuracy = held_out_accuracy(head, features[SEEN:], answers[SEEN:], answers=3)
    expect(
        accuracy > 0.95,
        f"On 60 held-out points the head's accuracy is {accuracy:.0%}; on these easy clouds it should be 95 % or more. Does "
        "the loss fall? Try a larger learning rate (1e-2 works here with AdamW), or more steps.",
    )


@train_head.core(30)
def on_clip(train_head, rng) -> None:
    """nearly as good as a plain probe on CLIP's embeddings of drawings, and CLIP is left unchanged"""
    import torch

    from helpers import clip
    from helpers.models import load
    from helpers.picturebook import STYLES, draw, random_scene

    size = load("clip").model.config.vision_config.image_size
    # Styles get random numbers, so that a head can know them only from the pairs that it was given.
    numbers = rng.sample(range(len(STYLES)), len(STYLES))

    def drawings(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        scenes = [random_scene(rng, things=1, style=rng.choice(STYLES)) for _ in range(n)]
        found = torch.tensor([numbers[STYLES.index(scene.style)] for scene in scenes])
        return torch.from_numpy(clip.embed_images([draw(scene, size=size) for scene in scenes])), found

    features, answers = drawings(120)
    with changed_weights("clip") as changed:
        head = train_head(features.clone(), answers.clone())
    expect(not changed, "CLIP's own weights have changed; a probe trains only the head.")
    fresh, right = drawings(80)  # drawn after training, so that no head can have seen them
    accuracy = held_out_accuracy(head, fresh, right, answers=len(STYLES))
    guess = (right == answers.mode().values).float().mean().item()
    reached = held_out_accuracy(plain_probe(features, answers), fresh, right, answers=len(STYLES))
    expect(
        accuracy >= guess + ENOUGH * (reached - guess),
        f"Your head's accuracy for the style of held-out drawings is {accuracy:.0%}; always giving the most common answer "
        f"reaches {guess:.0%}, a plain probe {reached:.0%}. Train for more steps, or with a larger learning rate.",
    )


@train_head.edge(12)
def step_limit(train_head, clouds) -> None:
    """no more steps than `steps` allows"""
    features, answers = clouds
    with count_optimizer_steps() as steps:
        train_head(features[:SEEN].clone(), answers[:SEEN].clone(), steps=2)
    expect(len(steps) <= 2, f"steps=2 allows two steps of the optimizer, but there were {len(steps)}.")


@train_head.edge(11)
def features_unchanged(train_head, clouds) -> None:
    """features and answers are left unchanged"""
    features, answers = clouds
    call(train_head, features[:SEEN].clone(), answers[:SEEN].clone(), steps=3)


@train_head.edge(12)
def numbers_with_gaps(train_head, clouds) -> None:
    """some numbers may be missing from the answers"""
    features, answers = clouds
    head = train_head(features[:SEEN].clone(), 2 * answers[:SEEN], steps=2)  # answers 0, 2, 4
    held_out_accuracy(head, features[SEEN:], 2 * answers[SEEN:], answers=5)


def plain_probe(features: torch.Tensor, answers: torch.Tensor) -> torch.nn.Module:
    """Train a linear head in the simplest way."""
    import torch

    head = torch.nn.Linear(features.shape[1], int(answers.max()) + 1)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.03)
    for _ in range(250):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(features), answers).backward()
        optimizer.step()
    return head


def held_out_accuracy(head, features: torch.Tensor, right: torch.Tensor, *, answers: int) -> float:
    """Return the head's accuracy; raise `CheckFailed` if the head is not linear.

    Args:
        head: what the student's function returned.
        features: the held-out features.
        right: the correct answers.
        answers: the number of different answers, and so of logits.
    """
    import torch

    expect(
        isinstance(head, torch.nn.Module),
        f"train_head should return a torch module, such as nn.Linear, but it returned {described(head)}.",
    )
    with torch.no_grad():
        logits = head.eval()(features)
        a, b = features[:8], features[8:16]
        between, mean = head((a + b) / 2), (head(a) + head(b)) / 2
    expect(
        logits.shape == (len(features), answers),
        f"For {len(features)} rows of features and {answers} answers, the head's logits should have shape "
        f"{(len(features), answers)}, but they have {tuple(logits.shape)}.",
    )
    expect(
        torch.allclose(between, mean, atol=1e-3 * logits.abs().max().item()),
        "The head is not linear: its output for the midpoint of two points should be the mean of its outputs for them. A "
        "probe tests what is already in the features, so leave hidden layers and the softmax out.",
    )
    return (logits.argmax(1) == right).float().mean().item()
