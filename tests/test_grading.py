"""The nbgrader cycle, end to end: release, submit, autograde, feedback, export, with every score asserted.

Three notebooks (a tiny one of the tests' own, one of functions, one that hands files in) are graded solved and as
released, and two of them with an answer to each exercise, by turns a wrong and a right one. test_answers.py judges the
answers to all notebooks. Starting a kernel and importing torch costs more than most answers, so one submission carries
one answer to each exercise. Cells between exercises are left out, but for those of the tiny notebook: nbval runs them.
"""

import html
import re
from itertools import cycle
from types import SimpleNamespace

import pytest
from instructor import ROOT, Instructor
from judge import FIXTURES, SEED, Answer, answers_to, just

from course.authoring import with_regions
from course.nbgrader_hooks import expected_name

TINY = FIXTURES / "00_tiny.py"
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
SOLUTIONS = [TINY, *(ROOT / "solutions" / f"{name}.py" for name in ("02_vqa_specialist", "07_synthetic_prompts"))]
WITH_ANSWERS = (TINY, ROOT / "solutions" / "02_vqa_specialist.py")
"""That nbgrader gives other answers than the solution what judge.py gives them can be seen with few of them."""


# ---------------------------------------------------------------- few submissions that carry many answers


def pack(answers: list[list[Answer]]) -> list[dict[str, Answer]]:
    """Puts every answer into a submission: at most one an exercise, and none that calls a wrong one beside it.

    Exercises start at different submissions, so that right and wrong answers meet in each.
    """
    submissions = [{} for _ in range(max(map(len, answers)))]
    for shift, of_one_exercise in enumerate(answers):
        for at, answer in enumerate(of_one_exercise):
            start = (at + shift) % len(submissions)
            order = submissions[start:] + submissions[:start]
            home = next((submission for submission in order if fits(answer, submission)), None)
            if home is None:
                submissions.append(home := {})
            home[answer.exercise] = answer
    return submissions


def fits(answer: Answer, submission: dict[str, Answer]) -> bool:
    return answer.exercise not in submission and not any(
        (answer.fault and answer.exercise in other.calls) or (other.fault and other.exercise in answer.calls)
        for other in submission.values()
    )


def essentials(instructor: Instructor, submission: dict[str, Answer]):
    """The student's notebook with these answers, its graded cells alone.

    An exercise that an answer calls, and that has no answer of its own, gets the solution; the rest stay stubs.
    """
    solutions = {cell.id: cell.source for cell in instructor.solved.cells}
    called = {name for answer in submission.values() for name in answer.calls}
    sources = {name: solutions[name] for name in called}
    sources |= {answer.exercise: answer.source for answer in submission.values()}
    return graded_cells(instructor.answered(sources))


def graded_cells(notebook):
    """The notebook without the cells between exercises: no test may need them."""
    notebook.cells = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    return notebook


def test_packing_keeps_every_answer_once_and_wrong_ones_away_from_their_callers():
    answers = [[answer for answer in some if answer.kind != "unwritten"] for some in answers_to(TINY)]
    submissions = pack(answers)
    packed = [answer for submission in submissions for answer in submission.values()]
    assert sorted(map(repr, packed)) == sorted(repr(answer) for some in answers for answer in some)
    assert len(submissions) == 5
    for submission in submissions:
        if "centre" in submission and submission["centre"].calls:
            assert "mean" not in submission or not submission["mean"].fault


# ---------------------------------------------------------------- names of handed-in files


@pytest.mark.parametrize(
    ("best", "others"),
    [
        ("Copy of 00_tiny.ipynb", []),
        ("00_tiny (1).ipynb", []),
        ("00_tiny-Kopie1.ipynb", []),
        ("Untitled.ipynb", []),
        ("00_TINY.ipynb", ["01_large.ipynb"]),
        ("ada_lovelace_00_tiny_final_version (really).ipynb", ["tiny.ipynb", "untitled.ipynb"]),
        ("00_tiny (2).ipynb", ["00_tiny (1).ipynb", "Copy of 00_tiny.ipynb"]),
    ],
)
def test_the_notebook_whose_name_fits_best_gets_the_expected_one(tmp_path, caplog, best, others):
    folder = tmp_path / "submitted" / "ada" / "00_tiny"
    folder.mkdir(parents=True)
    for name in (best, *others):
        (folder / name).write_text(name)
    notebooks = sorted(str(file) for file in folder.iterdir())
    expected_name(assignment="00_tiny", student="*", notebooks=notebooks)
    assert notebooks == [str(folder / "00_tiny.ipynb")]
    assert (folder / "00_tiny.ipynb").read_text() == best
    assert sorted(file.name for file in folder.iterdir()) == sorted(["00_tiny.ipynb", *others])
    (said,) = caplog.messages
    assert f"{folder}: {best} is graded as 00_tiny.ipynb" in said
    assert ("not graded" in said) == bool(others) and all(name in said for name in others)


def test_a_notebook_with_the_expected_name_is_left_alone(tmp_path, caplog):
    names = ["00_tiny (1).ipynb", "00_tiny.ipynb"]
    notebooks = [str(tmp_path / "00_tiny" / name) for name in names]
    expected_name(assignment="00_tiny", student="ada", notebooks=notebooks)
    assert notebooks == [str(tmp_path / "00_tiny" / name) for name in names] and not caplog.messages


def name_as_colab_does(instructor: Instructor, student: str) -> None:
    """Renames what the student has handed in to what Colab calls a copy."""
    (file,) = (instructor.root / "submitted" / student / instructor.name).iterdir()
    file.rename(file.with_name(f"Copy of {file.name}"))


# ---------------------------------------------------------------- every notebook


@pytest.fixture(scope="module", params=SOLUTIONS, ids=lambda solution: solution.stem)
def graded(request, tmp_path_factory):
    """A notebook after the whole cycle, and the names of who handed it in."""
    solution = request.param
    instructor = Instructor(tmp_path_factory.mktemp("instructor") / "course", solution)
    written = [[answer for answer in some if answer.kind != "unwritten"] for some in answers_to(solution)]
    samples = [[some[-turn]] for turn, some in zip(cycle((0, 1)), written)]  # wrong ones come first
    packed = {f"answers {i}": some for i, some in enumerate(pack(samples))} if solution in WITH_ANSWERS else {}

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COURSE_GRADER_SEED", SEED)
        solver = instructor.hand_in_by_exchange(graded_cells(instructor.solved))
        instructor.hand_in("stub", instructor.released if solution == TINY else graded_cells(instructor.released))
        for student, submission in packed.items():
            instructor.hand_in(student, essentials(instructor, submission))
        if packed:
            name_as_colab_does(instructor, "answers 0")
        instructor.grade()
    return SimpleNamespace(instructor=instructor, solver=solver, packed=packed)


def test_generate_assignment_releases_what_course_build_made(graded):
    assert graded.instructor.released_bytes == graded.instructor.built_bytes


def test_the_solution_wins_every_automatic_point_and_written_answers_wait_for_a_person(graded):
    instructor = graded.instructor
    expected = {**instructor.points, **dict.fromkeys(instructor.written)}  # None: a person has to look
    assert instructor.scores(graded.solver) == expected
    assert sum(instructor.points.values()) == 100


def test_the_solution_has_100_points_when_a_person_has_graded_the_written_answers(graded):
    instructor = graded.instructor
    for question in instructor.written:
        instructor.grade_by_hand(graded.solver, question, instructor.points[question])
    assert float(instructor.export()[graded.solver]["score"]) == 100


def test_the_notebook_as_released_has_0_points_and_needs_no_person(graded):
    assert graded.instructor.scores("stub") == dict.fromkeys(graded.instructor.points, 0)
    assert float(graded.instructor.export()["stub"]["score"]) == 0


def test_right_answers_win_their_points_and_wrong_ones_lose_theirs(graded):
    instructor = graded.instructor
    if not graded.packed:
        pytest.skip("judge.py alone judges the answers to this notebook")
    for student, submission in graded.packed.items():
        scores = instructor.scores(student)
        for answer in submission.values():
            cell = f"{answer.exercise}_tests"
            assert just(scores[cell], instructor.points[cell], answer.kind), (answer, scores[cell])


def test_feedback_says_what_failed_without_hidden_tests_and_rubrics(graded):
    instructor = graded.instructor
    secrets = {
        line.strip()
        for cell in instructor.solved.cells
        for line, region in with_regions(cell.source)
        if region in ("HIDDEN TESTS", "MARK SCHEME")
    }
    visible = {line.strip() for cell in instructor.released.cells for line in cell.source.splitlines()}
    for student in ["stub", *graded.packed]:
        shown = {line.strip() for line in plain_text(instructor.feedback(student)).splitlines()}
        cells = essentials(instructor, graded.packed[student]).cells if student in graded.packed else []
        own = {line.strip() for cell in cells for line in cell.source.splitlines()}
        leaked = (secrets - visible - own - {""}) & shown
        assert not leaked
        assert any("Error" in line for line in shown)


def plain_text(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", page))
