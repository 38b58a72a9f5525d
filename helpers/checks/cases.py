"""An exercise as a list of cases: the inputs of each, what must hold, and how much it is worth.

    double = Exercise("double")

    @double.given
    def number(rng):
        return rng.randrange(1, 100)

    @double.core(70)
    def any_number(double, number):
        \"\"\"twice the number\"\"\"
        expect(double(number) == 2 * number, f"double({number}) should be {2 * number}.")

    @double.edge(30)
    def text(double):
        \"\"\"a ValueError for text\"\"\"
        expect_raises(lambda: double("two"), ValueError, "text")

As with pytest's fixtures, a case gets what its parameters name: the student's answer under the exercise's name, `rng` (a
`random.Random`), `generator` (torch's), or what a function marked `given` returns or yields, made once for all cases.
The check that students see runs the cases with a fixed seed, or with that of a student's own sheet; the hidden test runs
the same ones with the grader's.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from textwrap import fill
from typing import Any

from helpers.checks.answers import NotWritten, calls_recorded, message_for
from helpers.checks.borrowing import hint, is_borrowed
from helpers.checks.expect import CheckFailed, Pictures
from helpers.checks.fakes import NeverEnds

__all__ = ["Case", "Exercise", "Outcome", "Report", "for_points", "sheet"]

VISIBLE = "visible"
"""The seed of the check that students see."""
ONLY_EDGES = "Only edge cases passed; they earn points once a core case passes."
WIDTH = 100
"""Characters per line of a report."""
_requested_points: list[float] = []
_sheet: list[str] = []


def sheet(seed: str) -> None:
    """Draw the inputs of the checks that students see from this seed, which may be a student's own."""
    _sheet[:] = [seed]


def for_points(points: float) -> None:
    """Make the next check return points, up to this number, instead of raising an error; graders call this."""
    _requested_points[:] = [points]


@dataclass(frozen=True)
class Case:
    """One case of an exercise.

    Attributes:
        name: what must hold, in a few words.
        share: its worth, as a percentage of the exercise's points.
        core: whether it tests what the exercise is about; edge cases count only if some core case passes.
        run: the function that runs it and raises `CheckFailed`.
    """

    name: str
    share: int
    core: bool
    run: Callable[..., None]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case; the message says what is wrong and is None if the case passed."""

    case: Case
    message: str | None = None
    pictures: Pictures = field(default_factory=Pictures)

    @property
    def passed(self) -> bool:
        """Whether the case passed."""
        return self.message is None


@dataclass(frozen=True)
class Report:
    """The outcomes of all cases of an exercise."""

    exercise: str
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> list[Outcome]:
        """The outcomes of the cases that did not pass."""
        return [outcome for outcome in self.outcomes if not outcome.passed]

    @property
    def share(self) -> float:
        """The share of the points that the answer earns, 0 … 1; nothing if no core case passed."""
        if not any(outcome.passed for outcome in self.outcomes if outcome.case.core):
            return 0.0
        return sum(outcome.case.share for outcome in self.outcomes if outcome.passed) / 100

    def __str__(self) -> str:
        passed = len(self.outcomes) - len(self.failed)
        lines = [
            f"{self.exercise}: {passed} of {len(self.outcomes)} cases passed, {100 * self.share:.0f} % of the points."
        ]
        shown: set[str] = set()
        for outcome in self.outcomes:
            lines.append(f"  {'✓' if outcome.passed else '✗'} {outcome.case.name} ({outcome.case.share} %)")
            if not outcome.passed:
                lines.append(_wrapped("Same as above." if outcome.message in shown else outcome.message, 6 * " "))
                shown.add(outcome.message)
        if self.share == 0 and len(self.failed) < len(self.outcomes):
            lines.append(f"  {ONLY_EDGES}")
        return "\n".join(lines)


def _wrapped(message: str, indent: str = "") -> str:
    """Break long lines between words: Jupyter breaks them within words."""
    style = {
        "initial_indent": indent,
        "subsequent_indent": indent,
        "break_long_words": False,
        "break_on_hyphens": False,
    }
    return "\n".join(fill(line, WIDTH, **style) for line in message.splitlines())


class Exercise:
    """The cases of one exercise; calling it with a student's answer runs the check that students see."""

    def __init__(self, name: str) -> None:
        self.name, self.__name__ = name, name
        self.cases: list[Case] = []
        self.givens: dict[str, Callable] = {}

    def __repr__(self) -> str:
        return f"Exercise({self.name!r}, {len(self.cases)} cases)"

    def core(self, share: int) -> Callable[[Callable], Callable]:
        """Mark a function as a core case, which tests what the exercise is about, worth `share` per cent."""
        return self._case(share, core=True)

    def edge(self, share: int) -> Callable[[Callable], Callable]:
        """Mark a function as an edge case, worth `share` per cent."""
        return self._case(share, core=False)

    def _case(self, share: int, *, core: bool) -> Callable[[Callable], Callable]:
        def add(run: Callable) -> Callable:
            name = (inspect.getdoc(run) or run.__name__.replace("_", " ")).splitlines()[0].rstrip(".")
            self.cases.append(Case(name, share, core, run))
            return run

        return add

    def given(self, make: Callable) -> Callable:
        """Mark a function whose result several cases share; a generator resumes after its `yield` when all are done."""
        self.givens[make.__name__] = make
        return make

    def run(self, answer: Any, seed: object = None) -> Report:
        """Run every case on the answer.

        Args:
            answer: what the student has written.
            seed: of the inputs; None for those that the student sees.

        Raises:
            NotWritten: the exercise still has its placeholder.
        """
        with ExitStack() as cleanup:
            trial = _Trial(self, answer, " ".join([VISIBLE, *_sheet]) if seed is None else seed, cleanup)
            return Report(self.name, tuple(trial.outcome(case) for case in self.cases))

    def __call__(self, answer: Any) -> float | None:
        """Run every case on the answer and print the outcomes.

        Returns:
            The points if `for_points` asked for them, else None.

        Raises:
            CheckFailed: a case failed, and no points were asked for.
            NotWritten: the exercise is not written yet, and no points were asked for.
        """
        if _requested_points:
            return self._graded(answer, _requested_points.pop())
        report = self.run(answer)
        if report.failed:
            raise CasesFailed(report)
        print(report)
        return None

    def _graded(self, answer: Any, points: float) -> float:
        from helpers.settings import settings

        if is_borrowed(answer):
            print(f"{self.name}: the course's own version earns no points.")
            return 0.0
        try:
            report = self.run(answer, settings.grader_seed)
        except NotWritten as error:
            print(error)
            return 0.0
        print(report)
        return round(points * report.share, 2)


class CasesFailed(CheckFailed):
    """Some cases of an exercise failed; a notebook shows the list of all cases."""

    def __init__(self, report: Report) -> None:
        first = next((o.pictures for o in report.failed if o.pictures.yours is not None), Pictures())
        super().__init__(" ".join(dict.fromkeys(o.message for o in report.failed)), **first._asdict())
        self.report = report

    def _render_traceback_(self) -> list[str]:
        super()._render_traceback_()
        return [str(self.report), _wrapped(hint(self.report.exercise))]


@dataclass
class _Trial:
    """One run of an exercise's cases, with the values that they share."""

    exercise: Exercise
    answer: Any
    seed: object
    cleanup: ExitStack
    made: dict[str, Any] = field(default_factory=dict)

    def outcome(self, case: Case) -> Outcome:
        try:
            with self._own_randomness(case.run.__name__):
                self._call(case.run)
        except CheckFailed as failed:
            return Outcome(case, str(failed), failed.pictures)
        except (Exception, NeverEnds) as error:
            return Outcome(case, message_for(error, self.student))
        return Outcome(case)

    @cached_property
    def student(self) -> Any:
        """The answer, wrapped so that it records its last call."""
        return calls_recorded(self.answer)

    def _call(self, fn: Callable) -> Any:
        return fn(**{name: self._value(name, fn.__name__) for name in inspect.signature(fn).parameters})

    def _value(self, name: str, wanted_by: str) -> Any:
        if name == self.exercise.name:
            return self.student
        if name == "rng":
            return random.Random(self._seed(wanted_by))
        if name == "generator":
            import torch

            return torch.Generator().manual_seed(random.Random(self._seed(wanted_by)).getrandbits(60))
        if name not in self.made:
            try:
                self.made[name] = True, self._make(self.exercise.givens[name])
            except (Exception, NeverEnds) as error:  # every case that needs the value fails with this error
                self.made[name] = False, error
        succeeded, value = self.made[name]
        if not succeeded:
            raise value
        return value

    def _make(self, make: Callable) -> Any:
        made = self._call(make)
        return self.cleanup.enter_context(contextmanager(lambda: made)()) if inspect.isgeneratorfunction(make) else made

    def _seed(self, wanted_by: str) -> str:
        return f"{self.seed} {self.exercise.name} {wanted_by}"

    @contextmanager
    def _own_randomness(self, wanted_by: str):
        """Seed torch's global generator for answers that use it, and restore the student's state afterwards."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random.Random(self._seed(wanted_by)).getrandbits(60))
            yield
