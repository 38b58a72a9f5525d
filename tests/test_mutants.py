"""Mutants: each has one fault that runs, faults that no grader should see are not made, and whatever they do ends."""

import ast
import inspect
import os
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "bench"))

import mutants as bench
from mutate import Mutant, mutants

pytestmark = pytest.mark.quick


def changes(source, operator=None):
    return [mutant.change for mutant in mutants(source) if operator in (None, mutant.operator)]


@pytest.mark.parametrize(
    ("operator", "source", "expected"),
    [
        ("comparison", "a < b", {"a <{+=+} b", "a [-<-]{+>=+} b"}),
        ("comparison", "a is None", {"a is {+not +}None"}),
        ("arithmetic", "a - b", {"a [---]{+++} b", "a[- - b-]", "[-a - -]b"}),
        ("arithmetic", "n += m", {"n [-+-]{+-+}= m", "n [-+-]= m"}),
        ("arithmetic", "[a] * n", {"[a][- * n-]", "[-[a] * -]n"}),
        ("logic", "a and b", {"a [-and-]{+or+} b", "a[- and b-]", "[-a and -]b"}),
        ("logic", "if a:\n    b()", {"if {+not +}a:"}),
        ("logic", "[a for a in b if a]", {"[a for a in b[- if a-]]", "[a for a in b if {+not +}a]"}),
        ("constant", "f(7, 'a', '', True)", {"f([-7-]{+8+}, 'a', '', True)", "f(7, '[-a-]', '', True)"}),
        ("constant", "f(7, 'a', '', True)", {"f(7, 'a', '{+mutant+}', True)", "f(7, 'a', '', [-True-]{+False+})"}),
        ("constant", "def f(a=1):\n    return a", {"def f(a=[-1-]{+2+}):", "def f(a=[-1-]{+0+}):"}),
        ("constant", 'x = f"a {b}"', {"x = f'[-a -]{b}'", "x = f'a [-{b}-]'"}),
        ("constant", 's = """\nSELECT a\nLIMIT 3\n"""', {r"s = '\nSELECT a\[-nLIMIT 3\n-]{+n+}'"}),
        ("pattern", r"re.sub(r'\d+', b, c)", {r"re.sub('\\d[-+-]', b, c)"}),
        ("pattern", """b = '"*`-'""", {"""b = '"*[-`-]-'"""}),
        ("element", "[a, b]", {"[[-a, -]b]", "[a[-, b-]]"}),
        ("element", "x = {'a': a, 'b': b}", {"x = {'a': a[-, 'b': b-]}", "x = {'[-a': a, '-]b': b}"}),
        ("argument", "f(a, b=b)", {"f([-a, -]b=b)", "f(a[-, b=b-])"}),
        ("argument", "f(a, b)", {"f([-a, b-]{+b, a+})"}),
        ("argument", "range(n)", {"range(n{+ + 1+})", "range(n{+ - 1+})"}),
        ("method", "a = b\na.strip()", {"a[-.strip()-]", "a.[-strip-]{+lstrip+}()"}),
        ("method", "max(a)", {"[-max-]{+min+}(a)"}),
        ("cut", "a[:n]", {"a[:[-n-]]", "a[:n{+ + 1+}]", "a[:n{+ - 1+}]"}),
        ("statement", "for a in b:\n    f(a)\n    break", {"[-f(a)-]{+pass+}", "[-break-]{+pass+}"}),
        ("statement", "def f(a):\n    a = g(a)\n    return a", {"[-a = g(a)-]{+pass+}", "return [-a-]{+None+}"}),
        ("context", "@a\ndef f():\n    with b():\n        c()", {"[-@a -]def f():", "[-with b()-]{+if True+}:"}),
        ("exception", "raise ValueError(f'{a}')", {"raise [-ValueError-]{+Exception+}(f'{a}')"}),
        ("exception", "try:\n    a()\nexcept OSError:\n    b()", {"except [-OSError-]{+()+}:"}),
    ],
)
def test_an_operator_makes_these_faults(operator, source, expected):
    assert expected <= set(changes(source, operator)), changes(source)


def test_what_no_grader_should_see_is_left_alone():
    source = '''
def f(a: "int") -> "str":
    """Says what it does."""
    # why
    if a:
        raise ValueError(f"a should be {None}, but it is {a:.2f}") from None
    return g(f"{a:.3f}")
'''
    assert changes(source) == [
        "if {+not +}a:",
        "[-raise ValueError(f'a should be {None}, but it is {a:.2f}') from None-]{+pass+}",
        "raise [-ValueError-]{+Exception+}(f'a should be {None}, but it is {a:.2f}') from None",
        "return [-g(f'{a:.3f}')-]{+None+}",
        "return g([-f'{a:.3f}'-])",
        "return g([-f'{a:.3f}-]{+'+}')",
        "return g(f'[-{a:.3f}-]')",
    ]


def test_each_is_valid_code_unlike_the_original_and_all_others():
    source = inspect.getsource(bench.in_forks)
    made = mutants(source)
    trees = [ast.dump(ast.parse(mutant.source)) for mutant in made]
    assert len(trees) > 50
    assert len({*trees, ast.dump(ast.parse(source))}) == len(trees) + 1
    assert made == mutants(source)
    assert [mutant.line for mutant in made] == sorted(mutant.line for mutant in made)


def test_a_name_that_nothing_else_binds_keeps_its_assignment():
    assert changes("def f():\n    a = g()\n    return a", "statement") == ["return [-a-]{+None+}"]


def test_modules_are_not_taken_for_what_their_functions_give():
    assert changes("def f(x):\n    return torch.cat(x).to(x)", "method") == ["return torch.cat(x)[-.to(x)-]"]


def test_a_larger_sample_keeps_the_smaller_one():
    made = mutants("f(1, 2, 3, 4, 5, 6, 7, 8, 9)")
    few, many = (bench.sampled(made, n, "seed") for n in (4, 12))
    assert len(few) == 4 and set(few) < set(many)
    assert bench.sampled(made, None, "seed") == made


def loops():
    while True:
        pass


def test_a_mutant_that_loops_dies_or_eats_memory_ends():
    works = {"fine": lambda: 3, "loops": loops, "dies": lambda: os._exit(0), "eats": lambda: len(bytearray(1 << 45))}
    began = time.monotonic()
    tasks = [(name, work, 2 if name == "loops" else 60) for name, work in works.items()]
    ended = {name: (how, value) for name, how, value, _ in bench.in_forks(tasks, jobs=2)}
    assert ended == {
        "fine": ("returned", 3),
        "loops": ("timeout", None),
        "dies": ("crashed", None),
        "eats": ("crashed", None),
    }
    assert time.monotonic() - began < 60


def test_what_a_mutant_has_started_ends_with_it():
    def starts_another():
        child = os.fork()
        return child or loops()

    [(_, ended, child, _)] = bench.in_forks([("", starts_another, 60)], jobs=1)
    assert ended == "returned"
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":  # ended; nobody here waits for it
            return
        time.sleep(0.05)
    pytest.fail("what the mutant has started still runs")


DOUBLE = bench.Exercise("00/double", bench.TINY["00"], "def double(x):\n    return 2 * x\n", frozenset())


def outcomes(**found):
    """The results of double's mutants; all that are not named are killed."""
    made = mutants(DOUBLE.source)
    known = {}
    for mutant in made:
        outcome = found.get(mutant.operator, "killed")
        known[bench.key(DOUBLE, mutant)] = {"outcome": outcome, "said": "It should be 4."}
    return {DOUBLE: made}, known


def test_the_share_leaves_equivalent_mutants_out():
    made, known = outcomes(statement="survived", constant="timeout")
    entry = {"exercise": "00/double", "change": "return [-2 * x-]{+None+}", "reason": "only for the test"}
    n = len(made[DOUBLE])
    said = bench.summary(made, made, known, [])
    assert f"{1 - 1 / n:.2%} of {n} mutants" in said
    assert "Survivors:\n00/double:2  return [-2 * x-]{+None+}" in said
    said = bench.summary(made, made, known, [entry])
    assert f"100.00% of {n - 1} mutants" in said and "Survivors" not in said


def test_an_equivalent_mutant_that_loses_points_is_named():
    made, known = outcomes()
    entry = {"exercise": "00/double", "change": "return [-2 * x-]{+None+}", "reason": "only for the test"}
    assert "calls them right:\n00/double:2  return [-2 * x-]{+None+}  It should be 4." in bench.summary(
        made, made, known, [entry]
    )


@pytest.mark.parametrize("line", [2, 3])
def test_an_entry_means_one_mutant(line):
    some = [Mutant(2, "constant", "a", ""), Mutant(3, "constant", "a", "")]
    assert bench.equivalent_to(DOUBLE, some, [{"exercise": "00/double", "change": "a", "line": line}]) == {
        some[line - 2]
    }
    for entry in ({"change": "a"}, {"change": "b"}):
        with pytest.raises(ValueError, match=r"on 2, 3\.|on no line\."):
            bench.equivalent_to(DOUBLE, some, [{"exercise": "00/double", **entry}])


def test_the_list_of_equivalent_mutants_is_up_to_date():
    entries = bench.equivalents(bench.EQUIVALENT)
    assert all(entry["reason"] for entry in entries)
    wanted = {entry["exercise"] for entry in entries}
    exercises = [
        exercise
        for number, path in bench.NOTEBOOKS.items()
        if any(name.startswith(f"{number}/") for name in wanted)
        for exercise in bench.exercises_in(path)
    ]
    assert wanted <= {exercise.name for exercise in exercises}
    for exercise in exercises:
        if exercise.name in wanted:
            bench.equivalent_to(exercise, mutants(exercise.source), entries)
