"""The console script ``course``. Each command imports what it needs when it runs, so that `course --help` is quick."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from helpers.errors import PlainError


class Plainly(TyperGroup):
    """Shows an error that says what to do as that sentence, without a stack trace, and exits 1."""

    def main(self, *args, **kwargs):
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # which may write a code page, without arrows and dashes
                stream.reconfigure(errors="replace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except PlainError as error:
            typer.echo(error, err=True)
            raise typer.Exit(1) from error


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


app = typer.Typer(
    cls=Plainly,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Makes, serves, grades and trains the course.",
)


@app.command()
def doctor() -> None:
    """Look at versions, device, models, secrets and ports; exit 1 with what to do when one needs fixing."""
    from course.doctor import doctor

    report = doctor()
    print(report)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def lab(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1; the next free one is taken when it is in use.")
    ] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open JupyterLab on notebooks/ and print its URL."""
    from course.lab import lab

    raise typer.Exit(lab(port=port, browser=browser))


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option(help="Where generated_images/ is, or will be; what lies in it already stays.")
    ] = Path(),
) -> None:
    """Run the capstone, notebook 07, from four pictures to a graded submission; exit 1 when it does not pass."""
    from course.demo import RESULTS, demo, score_table

    assessment = demo(folder)
    print(score_table(assessment))
    print(f"\nThe report: {(folder / RESULTS / 'report.html').resolve()}")
    raise typer.Exit(0 if assessment["result"] == "passed" else 1)


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on, 0.0.0.0 for all; anyone who reaches it may use the model.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8765,
    allow_image_urls: Annotated[
        bool,
        typer.Option(
            "--allow-image-urls",
            help="Fetch pictures from http(s) URLs that requests name, this network's own too; redirects are refused.",
        ),
    ] = False,
    strict_models: Annotated[
        bool,
        typer.Option(
            "--strict-models", help="Answer 404 to requests for another model, not with the one that is here."
        ),
    ] = False,
    parent_pid: Annotated[int | None, typer.Option(min=1, help="End when the process with this id ends.")] = None,
    submissions: Annotated[
        str | None,
        typer.Option(
            envvar="COURSE_SUBMISSIONS",
            help="Database of submissions: sqlite:///FILE, postgresql+psycopg://… A file of the user's if not given.",
        ),
    ] = None,
    submission_root: Annotated[
        Path | None, typer.Option(help="Folder whose folders a submission may name; without it none.")
    ] = None,
) -> None:
    """Serve the chat model at /v1 (and /openai/v1 for Groq's client), pictures at /sdapi/v1, the runner at /run_assessment."""
    from course.serve.server import serve

    serve(
        host=host,
        port=port,
        allow_image_urls=allow_image_urls,
        strict_models=strict_models,
        parent_pid=parent_pid,
        submissions=submissions,
        submission_root=submission_root,
    )


@app.command()
def verify(
    file: Annotated[
        Path, typer.Argument(help="A certificate: its PNG, or its token in a text file (.jwt, .json, .txt).")
    ],
    key: Annotated[
        str | None,
        typer.Option(help="The runner's public key, in base64 or as a JWK; this computer's own if not given."),
    ] = None,
) -> None:
    """Print the words of a certificate that the runner signed; exit 1 when it is not genuine.

    The picture is not part of the signature: what counts is what this command prints.
    """
    from course.assess.certificate import Signer, printable, verify

    found = verify(file, key or Signer.at_home().public_key)
    student, course = printable(found.student) or "the student", printable(found.course) or "the course"
    print(f"Genuine: {student} passed {course} on {found.date}.")
    print(f"{found.score:g} of 100 points, submission {found.submission}.")
    print(
        "These words are signed. The picture is not part of the signature: if it says something else, it was changed."
    )


@app.command()
def build(
    check: Annotated[
        bool, typer.Option("--check", help="Leave notebooks/ alone; fail where a notebook is stale.")
    ] = False,
) -> None:
    """Make the notebooks (build/source/ and notebooks/) from solutions/."""
    from course.build import build

    _report_problems(build(check=check))


@app.command()
def sync(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where a file is stale.")] = False,
) -> None:
    """Write what pyproject.toml decides into requirements.txt, environment.yml, the README and the notebooks' sources."""
    from course.sync import sync

    _report_problems(sync(check=check))


@app.command()
def prompts(
    rows: Annotated[int, typer.Option(min=1, max=900_000, help="How many; each is the prompt of another scene.")],
    output: Annotated[Path, typer.Option(help="File to write: .csv or .parquet.")] = Path("prompts.csv"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same prompts.")] = 0,
) -> None:
    """Write a collection of picture-book prompts, in the columns of the 900k Diffusion Prompts dataset."""
    from helpers.collection import write_prompts

    print(write_prompts(output, rows, seed=seed))


@app.command()
def train(
    models: Annotated[
        list[str],
        typer.Argument(help="all, or which: text, judge, vae, clip, unet, few_step, vqa, chat, blip2."),
    ],
    minutes: Annotated[float, typer.Option(min=0, help="How long to train; several models share the minutes.")],
    device: Annotated[Device, typer.Option(help="auto is a GPU where there is one.")] = Device.auto,
    finish: Annotated[
        bool, typer.Option("--finish", help="End one model's training within the minutes; several always do.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin from nothing, not from the weights in models/.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that draw pictures.")] = None,
) -> None:
    """Train mini models on the picture-book world, resumably; `all` trains the whole chain from nothing."""
    from course.train import FOLDERS, train, train_all

    if models == ["all"]:
        models = list(FOLDERS)
    for model in models:
        if parts := [part for part, folder in FOLDERS.items() if folder.startswith(f"{model}/")]:
            raise typer.BadParameter(f"{model!r} is trained in its parts: {', '.join(parts)}", param_hint="MODELS")
        _expect_one_of(FOLDERS, model)
    if len(models) > 1:
        train_all(models, minutes=minutes, device=device.value, workers=workers)
    else:
        train(models[0], minutes=minutes, device=device.value, finish=finish, fresh=fresh, workers=workers)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Which: vae, clip, diffusion, judge, vqa, chat or blip2.")],
    n: Annotated[
        int | None, typer.Option(min=1, help="How many fresh scenes; the model's own default if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the fresh scenes.")] = 0,
    save: Annotated[bool, typer.Option("--save", help="Keep the scores with the model and write its card.")] = False,
) -> None:
    """Print a mini model's scores on fresh scenes as one JSON object; scores are fractions of 1."""
    from course.evaluate import EVALUATIONS, evaluate

    _expect_one_of(EVALUATIONS, model)
    scores = evaluate(model, n=n, seed=seed)
    if save:
        from course.cards import save_scores

        save_scores(model, scores)
    print(json.dumps(scores))


def _expect_one_of(names: Iterable[str], model: str) -> None:
    if model not in names:
        raise typer.BadParameter(f"there is no {model!r}; choose one of: {', '.join(names)}", param_hint="MODEL")


def _report_problems(problems: list[str]) -> None:
    for problem in problems:
        print(problem)
    raise typer.Exit(1 if problems else 0)
