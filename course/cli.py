"""The console script `course`. Each command imports what it needs when it runs, to keep `course --help` fast."""

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


class UserErrorGroup(TyperGroup):
    """Prints a user error as one message, without a stack trace, and exits 1."""

    def main(self, *args, **kwargs):
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # its code page may lack arrows and dashes
                stream.reconfigure(errors="replace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except PlainError as error:
            typer.echo(error, err=True)
            raise typer.Exit(1) from error


class Device(StrEnum):
    """The device to train on."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


app = typer.Typer(
    cls=UserErrorGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Build, serve and grade the course, and train its models.",
)


@app.command()
def doctor() -> None:
    """Check versions, device, models, secrets and ports; exit 1 and say what to do if one needs fixing."""
    from course.doctor import doctor

    report = doctor()
    print(report)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def lab(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1; if it is in use, the next free one.")
    ] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open JupyterLab on notebooks/ and print its URL."""
    from course.lab import lab

    raise typer.Exit(lab(port=port, browser=browser))


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Folder for generated_images/; existing files in it are kept.")] = Path(),
) -> None:
    """Run the capstone, notebook 07, from four pictures to a graded submission; exit 1 if it does not pass."""
    from course.demo import RESULTS, demo, score_table

    assessment = demo(folder)
    print(score_table(assessment))
    print(f"\nThe report: {(folder / RESULTS / 'report.html').resolve()}")
    raise typer.Exit(0 if assessment["result"] == "passed" else 1)


@app.command()
def grade(
    submitted: Annotated[Path | None, typer.Argument(help="Folder with a folder for each student.")] = None,
    assignment: Annotated[
        list[str] | None, typer.Option(help="Grade only this assignment, such as 01_diffusion_basics; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="How many to grade at a time; 0 is one per processor.")] = 0,
    db: Annotated[str | None, typer.Option(help="The gradebook's URL; by default sqlite:///gradebook.db.")] = None,
    dask: Annotated[
        str | None, typer.Option(help="Grade on a Dask cluster: the address of its scheduler, tcp://HOST:PORT.")
    ] = None,
    trust_submissions: Annotated[
        bool,
        typer.Option("--trust-submissions", help="Grade without a sandbox: submissions can do anything that you can."),
    ] = False,
    csv: Annotated[Path, typer.Option(help="File for a table of all points.")] = Path("grades.csv"),
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Grade what students send over HTTP; kept in the folder, if one is named."),
    ] = False,
    students: Annotated[
        Path | None, typer.Option(help="With --serve: give tokens to those in column `id` of this table (CSV).")
    ] = None,
    tokens: Annotated[Path, typer.Option(help="With --serve: the table of tokens.")] = Path("tokens.csv"),
    per_hour: Annotated[int, typer.Option(min=1, help="With --serve: notebooks per student and hour.")] = 6,
    host: Annotated[str, typer.Option(help="With --serve: address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="With --serve: port to listen on.")] = 8770,
) -> None:
    """Grade all submissions in a folder into nbgrader's gradebook, sandboxed; a stopped run resumes where it stopped.

    With --serve, grade on demand instead: a student sends a notebook, and gets a report. Nothing goes into the gradebook.
    """
    if serve:
        from course.grade import web
        from course.students import students_in

        web.serve(
            Path.cwd(),
            students=students_in(students) if students else [],
            tokens=tokens,
            host=host,
            port=port,
            per_hour=per_hour,
            keep=submitted,
            jobs=jobs,
            dask=dask,
            sandboxed=not trust_submissions,
            only=set(assignment or []) or None,
        )
        return
    if submitted is None:
        raise typer.BadParameter("name the folder with the submissions, or pass --serve", param_hint="SUBMITTED")

    from course.grade.run import grade_all, table, write_csv

    rows = grade_all(
        submitted,
        root=Path.cwd(),
        jobs=jobs,
        db=db,
        sandboxed=not trust_submissions,
        only=set(assignment or []) or None,
        dask=dask,
    )
    print(table(rows))
    write_csv(rows, csv)
    print(f"\n{csv}: the points of each exercise. `nbgrader generate_feedback` writes the feedback.")


bench = typer.Typer(no_args_is_help=True)
app.add_typer(bench, name="bench", help="Measure the course beside what others use, both in one run.")
Notebooks = Annotated[str, typer.Option(help="Numbers of notebooks, such as 02,05; by default all.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")]


@bench.command("grading")
def bench_grading(
    students: Annotated[int, typer.Option(min=1, help="How many students hand in each notebook.")] = 6,
    notebooks: Notebooks = "",
    as_json: AsJson = False,
) -> None:
    """Grade a class with `course grade`, sandboxed, and with `nbgrader autograde`: seconds and points of both."""
    from course.bench import grading

    found = grading.measure(students, numbers=_numbers(notebooks))
    print(json.dumps(found) if as_json else grading.table(found))
    raise typer.Exit(0 if found["same_scores"] else 1)


@bench.command("kills")
def bench_kills(
    times: Annotated[int, typer.Option(min=1, help="How often the run is killed.")] = 10,
    students: Annotated[int, typer.Option(min=1, help="How many students hand in each notebook.")] = 3,
    notebooks: Notebooks = "02",
    seed: Annotated[str, typer.Option(help="Random seed of the moments.")] = "0",
    as_json: AsJson = False,
) -> None:
    """Grade a class while `kill -9` ends the grader at random moments; exit 1 if that changes a grade."""
    from course.bench import kills

    found = kills.measure(times, students, numbers=_numbers(notebooks), seed=seed)
    print(json.dumps(found) if as_json else kills.table(found))
    raise typer.Exit(0 if found["identical"] else 1)


def _numbers(notebooks: str) -> list[str]:
    return [number.strip() for number in notebooks.split(",") if number.strip()]


@app.command()
def repair(
    files: Annotated[list[Path], typer.Argument(help="Notebooks to repair.")],
    write: Annotated[bool, typer.Option("--write", help="Write NAME.repaired.ipynb beside each.")] = False,
) -> None:
    """Restore what a notebook has lost since its release, and say what was done; no line that was written is lost."""
    from course.grade.repair import repair_files

    for line in repair_files(files, root=Path.cwd(), write=write):
        print(line)


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on, 0.0.0.0 for all; anyone who can reach it may use the models.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8765,
    allow_image_urls: Annotated[
        bool,
        typer.Option(
            "--allow-image-urls",
            help="Fetch pictures from http(s) URLs in requests, including this network's; redirects are refused.",
        ),
    ] = False,
    strict_models: Annotated[
        bool,
        typer.Option(
            "--strict-models", help="Answer requests for another model with 404, instead of with the one here."
        ),
    ] = False,
    parent_pid: Annotated[int | None, typer.Option(min=1, help="Stop when the process with this id ends.")] = None,
    submissions: Annotated[
        str | None,
        typer.Option(
            envvar="COURSE_SUBMISSIONS",
            help="Submission database, sqlite:///FILE or postgresql+psycopg://…; by default in the user's data folder.",
        ),
    ] = None,
    submission_root: Annotated[
        Path | None,
        typer.Option(help="Folder inside which submissions may name folders; by default they may name none."),
    ] = None,
) -> None:
    """Serve chat at /v1 (/openai/v1 for Groq's client), pictures at /sdapi/v1, the runner at /run_assessment."""
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
        typer.Option(help="The runner's public key, in base64 or as a JWK; by default this computer's own."),
    ] = None,
) -> None:
    """Print the signed text of a certificate; exit 1 if it is not genuine.

    The picture is not part of the signature: what counts is what this command prints.
    """
    from course.assess.certificate import Signer, printable, verify

    found = verify(file, key or Signer.at_home().public_key)
    student, course = printable(found.student) or "the student", printable(found.course) or "the course"
    print(f"Genuine: {student} passed {course} on {found.date}.")
    print(f"{found.score:g} of 100 points, submission {found.submission}.")
    print("This text is signed. The picture is not part of the signature: if it says something else, it was changed.")


@app.command()
def speedrun(
    gallery: Annotated[Path, typer.Argument(help="Notebook 08's gallery of runs.")] = Path("speedrun.jsonl"),
    key: Annotated[
        str | None, typer.Option(help="Another verifier's public key: what it signed is not trained again.")
    ] = None,
) -> None:
    """Train the runs in notebook 08's gallery again and say whether their scores hold; exit 1 if one does not.

    A run is trained from its seed on its number of samples, offline, and signed in the file if its score holds.
    """
    from course.assess.certificate import Signer
    from course.speedrun import speedrun

    raise typer.Exit(0 if speedrun(gallery, Signer.at_home(), key=key) else 1)


@app.command()
def build(
    check: Annotated[
        bool, typer.Option("--check", help="Leave notebooks/ unchanged; fail if a notebook is stale.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw the inputs of the checks in the notebooks from this seed.")
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(help="Also write build/sheets/STUDENT/, with inputs that only this student gets; repeatable."),
    ] = None,
    students: Annotated[
        Path | None, typer.Option(help="The same for all students of a table (CSV) with their ids in a column `id`.")
    ] = None,
) -> None:
    """Build the notebooks (build/source/ and notebooks/) from solutions/."""
    from course.build import build
    from course.sheets import FOLDER
    from course.students import expect_names, students_in

    names = [*expect_names(student or []), *(students_in(students) if students else [])]
    if names and check:
        raise typer.BadParameter("there is nothing to compare students' own sheets with", param_hint="--check")
    problems = build(check=check, seed=seed, students=names)
    if names and not problems:
        print(f"{FOLDER}: the notebooks of {len({*names})} students, each with inputs of its own.")
    _report_problems(problems)


@app.command()
def sync(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file is stale.")] = False,
) -> None:
    """Update requirements.txt, environment.yml, the README and the notebooks' sources from pyproject.toml."""
    from course.sync import sync

    _report_problems(sync(check=check))


@app.command()
def prompts(
    rows: Annotated[int, typer.Option(min=1, max=900_000, help="How many prompts, each of a different scene.")],
    output: Annotated[Path, typer.Option(help="File to write: .csv or .parquet.")] = Path("prompts.csv"),
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same prompts.")] = 0,
) -> None:
    """Write a collection of picture-book prompts with the columns of the 900k Diffusion Prompts dataset."""
    from helpers.collection import write_prompts

    print(write_prompts(output, rows, seed=seed))


@app.command()
def train(
    models: Annotated[
        list[str],
        typer.Argument(help="all, or one or more of: text, judge, vae, clip, unet, few_step, vqa, chat, blip2."),
    ],
    minutes: Annotated[float, typer.Option(min=0, help="How long to train; several models share this time.")],
    device: Annotated[Device, typer.Option(help="auto uses a GPU if there is one.")] = Device.auto,
    finish: Annotated[
        bool, typer.Option("--finish", help="Finish a single model's training within the minutes; several always do.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start from scratch, not from the weights in models/.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=0, help="Number of processes that draw pictures.")] = None,
) -> None:
    """Train mini models on the picture-book world, resumably; `all` trains the whole chain from scratch."""
    from course.train import FOLDERS, train, train_all

    if models == ["all"]:
        models = list(FOLDERS)
    for model in models:
        if parts := [part for part, folder in FOLDERS.items() if folder.startswith(f"{model}/")]:
            raise typer.BadParameter(f"{model!r} is trained in parts: {', '.join(parts)}", param_hint="MODELS")
        _expect_one_of(FOLDERS, model)
    if len(models) > 1:
        train_all(models, minutes=minutes, device=device.value, workers=workers)
    else:
        train(models[0], minutes=minutes, device=device.value, finish=finish, fresh=fresh, workers=workers)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="One of: vae, clip, diffusion, judge, vqa, chat, blip2.")],
    n: Annotated[int | None, typer.Option(min=1, help="How many new scenes; the default depends on the model.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the scenes.")] = 0,
    save: Annotated[bool, typer.Option("--save", help="Save the scores with the model and update its card.")] = False,
) -> None:
    """Print a mini model's scores on new scenes, from 0 to 1, as a JSON object."""
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
