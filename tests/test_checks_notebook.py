"""What a notebook shows where an exercise is not written yet: one sentence, also in the cells that hang on it."""

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from helpers.checks import notebook


@pytest.fixture
def run(monkeypatch):
    """Runs a cell and gives what it shows."""
    monkeypatch.setattr(notebook, "UNMADE", {})
    monkeypatch.setattr(notebook, "FAILED", set())
    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    shown = []
    monkeypatch.setattr(shell, "_showtraceback", lambda kind, error, lines: shown.append("\n".join(lines)))
    notebook.watch(shell)
    notebook.watch(shell)

    def run(cell):
        shown.clear()
        shell.run_cell(cell)
        return "\n".join(shown)

    return run


STUB = 'def embed(texts):\n    raise NotImplementedError("embed: put your code here, in place of this line.")'


def test_a_cell_that_calls_an_unwritten_exercise_shows_one_sentence(run):
    assert run(STUB) == ""
    assert run("vectors = embed(['a cat'])").startswith("embed is not written yet.")


def test_cells_that_need_what_it_would_have_made_name_the_exercise(run):
    run(STUB)
    run("vectors = embed(['a cat'])\nfirst, *others = vectors")
    shown = run("best = vectors.argmax()")
    assert shown.startswith(
        "This cell needs vectors, which an earlier cell creates once embed is written. embed is not"
    )
    assert "Traceback" not in shown
    assert run("print(best)").startswith("This cell needs best, which an earlier cell creates once embed is written.")
    assert run("others").startswith("This cell needs others,")


def test_what_a_cell_has_made_only_half_is_not_used(run):
    run(STUB)
    run("groups = []\nfor vector in embed(['a cat']):\n    groups.append(vector)")
    assert run("print(sum(groups) / len(groups))").startswith("This cell needs groups, which an earlier cell creates")
    assert run("groups = [1]\nprint(sum(groups) / len(groups))") == "" and run("groups") == ""


def test_a_loops_own_variables_are_not_missing_in_it(run):
    run(STUB)
    run("for text, best in embed(['a cat']):\n    score = best")
    assert run("for text in ['a']:\n    best = text.upper()\n    print(best)") == ""
    assert run("with __import__('io').StringIO('') as score:\n    print(score.read())") == ""
    run("for text, best in embed(['a cat']):\n    score = best")
    assert run("for text in ['a']:\n    print(best)\n    best = text").startswith("This cell needs best")


def test_a_function_with_a_variable_of_the_same_name_is_defined_all_the_same(run):
    run(STUB)
    run("found = embed(['a cat'])")
    assert run("def search():\n    found = 1\n    return found") == ""
    assert run("value = search() + sum(found for found in [1])") == ""
    assert run("first = found[0]").startswith("This cell needs found")


def test_a_function_that_is_called_without_what_it_needs_names_the_exercise(run):
    run(STUB)
    run("vectors = embed(['a cat'])")
    assert run("def search():\n    return len(vectors)") == ""
    for cell in ("found = search()", "vectors = search()"):
        assert run(cell).startswith("This cell needs vectors, which an earlier cell creates once embed is written.")
    assert run("found").startswith("This cell needs found, which an earlier cell creates once embed is written.")
    run("vectors = [1]")
    assert run("found = search()") == "" and run("found") == ""


def test_names_are_those_that_python_finds(run):
    run(STUB)
    run("found = embed(['a cat'])\nfirst = error = 1")
    assert run("found += [1]").startswith("This cell needs found")
    assert run("for found in found:\n    pass").startswith("This cell needs found")
    assert run("def search(among=found):\n    return among").startswith("This cell needs found")
    assert run("class Search:\n    among = found").startswith("This cell needs found")
    assert run("async def search():\n    return found") == ""
    assert run("print(any((first := n) for n in [2]), first)") == ""
    assert run("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    print(error)") == ""


def test_a_magic_in_a_cell_hides_no_names(run):
    run(STUB)
    run("%xmode Plain\nfound = embed(['a cat'])")
    assert run("found").startswith("This cell needs found")


def test_once_it_is_written_all_is_as_always(run):
    run(STUB)
    run("vectors = embed(['a cat'])")
    run("def embed(texts):\n    return [1, 2]")
    assert run("vectors = embed(['a cat'])") == "" and run("vectors") == ""
    run("del vectors")
    assert "NameError" in run("vectors")


def test_other_errors_keep_their_trace_and_what_they_leave_out_is_said(run):
    assert "ZeroDivisionError" in run("share = 1 / 0")
    assert run("share") == "This cell needs share, but the cell that creates it raised an error."
    assert "NameError" in run("a_slip")
    assert "NotImplementedError" in run("raise NotImplementedError('later')")


def test_a_cell_with_a_slip_in_its_syntax_does_no_harm(run):
    for slip in ("def f(:\n    pass", "return 1"):
        assert "SyntaxError" in run(slip)
        run(STUB)
        run("found = embed(['a cat'])")
        assert run("found").startswith("This cell needs found"), "notebook.py should still be watching"
