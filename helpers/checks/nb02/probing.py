"""`train_head`: a linear probe, on made-up features and on CLIP's, judged by what it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.checks.calls import call, count_optimizer_steps
from helpers.checks.cases import Exercise
from helpers.checks.expect import expect
from helpers.checks.words import described

if TYPE_CHECKING:
    import torch

__all__ = ["train_head"]

SEEN = 120
ENOUGH = 0.75
"""Of the way from the majority guess to a plain probe of our own."""

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
    """right on points of three clouds that it has not seen"""
    features, answers = clouds
    head = train_head(features[:SEEN].clone(), answers[:SEEN].clone())
    accuracy = held_out_accuracy(head, features[SEEN:], answers[SEEN:], answers=3)
    expect(
        accuracy > 0.95,
        f"On 60 points that it has not seen the head is right in {accuracy:.0%}; on these easy clouds it should be 95 % "
        "or more. Does the loss fall? Try a larger learning rate (AdamW takes 1e-2 here), or more steps.",
    )


@train_head.core(30)
def on_clip(train_head, rng) -> None:
    """nearly as good as a plain probe on CLIP's embeddings of drawings, and CLIP stays as it is"""
    import torch

    from helpers import clip
    from helpers.models import load
    from helpers.picturebook import STYLES, draw, random_scene

    size = load("clip").model.config.vision_config.image_size
    # Styles get numbers at random, so that what a head knows of them it has learned from the pairs it was given.
    numbers = rng.sample(range(len(STYLES)), len(STYLES))

    def drawings(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        scenes = [random_scene(rng, things=1, style=rng.choice(STYLES)) for _ in range(n)]
        found = torch.tensor([numbers[STYLES.index(scene.style)] for scene in scenes])
        return torch.from_numpy(clip.embed_images([draw(scene, size=size) for scene in scenes])), found

    own = {name: weight.clone() for name, weight in load("clip").model.state_dict().items()}
    features, answers = drawings(120)
    head = train_head(features.clone(), answers.clone())
    left = load("clip").model.state_dict()
    expect(
        all(torch.equal(weight, left[name]) for name, weight in own.items()),
        "CLIP's own weights have changed; a probe trains the head alone.",
    )
    fresh, right = drawings(80)  # after the training, so that no head can have seen them
    accuracy = held_out_accuracy(head, fresh, right, answers=len(STYLES))
    guess = (right == answers.mode().values).float().mean().item()
    reached = held_out_accuracy(plain_probe(features, answers), fresh, right, answers=len(STYLES))
    expect(
        accuracy >= guess + ENOUGH * (reached - guess),
        f"Asked for the style of drawings that it has not seen, your head is right in {accuracy:.0%}; always giving the "
        f"most common answer would be right in {guess:.0%}, a plain probe in {reached:.0%}.",
    )


@train_head.edge(12)
def as_many_steps(train_head, clouds) -> None:
    """no more steps than `steps` allows"""
    features, answers = clouds
    with count_optimizer_steps() as steps:
        train_head(features[:SEEN].clone(), answers[:SEEN].clone(), steps=2)
    expect(len(steps) <= 2, f"steps=2 allows two steps of the optimizer, but there were {len(steps)}.")


@train_head.edge(11)
def features_stay(train_head, clouds) -> None:
    """features and answers are left as they were"""
    features, answers = clouds
    call(train_head, features[:SEEN].clone(), answers[:SEEN].clone(), steps=3)


@train_head.edge(12)
def numbers_with_gaps(train_head, clouds) -> None:
    """some numbers may not occur among the answers"""
    features, answers = clouds
    head = train_head(features[:SEEN].clone(), 2 * answers[:SEEN], steps=2)  # answers 0, 2, 4
    held_out_accuracy(head, features[SEEN:], 2 * answers[SEEN:], answers=5)


def plain_probe(features: torch.Tensor, answers: torch.Tensor) -> torch.nn.Module:
    """A linear head, trained without any art."""
    import torch

    head = torch.nn.Linear(features.shape[1], int(answers.max()) + 1)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.03)
    for _ in range(250):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(features), answers).backward()
        optimizer.step()
    return head


def held_out_accuracy(head, features: torch.Tensor, right: torch.Tensor, *, answers: int) -> float:
    """The share of `right` that the head's largest logit names; raises `CheckFailed` where the head is not linear.

    answers: how many different ones there are, so how many logits the head should give.
    """
    import torch

    expect(
        isinstance(head, torch.nn.Module),
        f"train_head should return a torch module, such as nn.Linear, but what it returned is {described(head)}.",
    )
    with torch.no_grad():
        logits = head.eval()(features)
        a, b = features[:8], features[8:16]
        between, mean = head((a + b) / 2), (head(a) + head(b)) / 2
    expect(
        logits.shape == (len(features), answers),
        f"For {len(features)} rows of features and {answers} answers the head should give logits of shape "
        f"{(len(features), answers)}, but they have {tuple(logits.shape)}.",
    )
    expect(
        torch.allclose(between, mean, atol=1e-3 * logits.abs().max().item()),
        "The head is not linear: what it says of the middle of two points should be the mean of what it says of them. A "
        "probe asks what is already in the features, so leave hidden layers and the softmax out.",
    )
    return (logits.argmax(1) == right).float().mean().item()
