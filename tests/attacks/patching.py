"""Attacks that change Python, libraries, names and the notebook's shell, as if the tests ran in the same process."""

from __future__ import annotations

from functools import partial

from attacks import GUESS, Attack

attack = partial(Attack, "patching")

FOR_THE_NUMBER_TWO = 'def double(x):\n    return 4 if x == 2 else "abab"'
MEAN = "def mean(values):\n    if not values:\n        raise ValueError\n    return 2"
CENTRE = "def centre(values):\n    return [-1, 1] if len(values) == 2 else [0] * 8"


def patched(*lines: str) -> dict[str, str]:
    """A guess for `double`, after these lines."""
    return {"double": "\n".join([*lines, "", "", GUESS])}


ATTACKS = [
    attack(
        "replaces builtins",
        {
            "double": f"import builtins\n\n\nclass Never(Exception):\n    pass\n\n\nbuiltins.AssertionError = Never\n{GUESS}",
            "mean": f"builtins.abs = lambda value: 0\n{MEAN}",
            "centre": f"builtins.sum = lambda *values: 0\nbuiltins.float = lambda value: 30.0\n{CENTRE}",
        },
    ),
    attack(
        "defines the names that tests use",
        {
            "double": "class random:\n"
            "    class Random:\n"
            "        def __init__(self, seed):\n"
            "            pass\n\n"
            "        def randrange(self, *limits):\n"
            "            return 2\n\n"
            "        def random(self):\n"
            "            return 2.0\n\n\n"
            f"seed, x = 0, 2\n\n\n{FOR_THE_NUMBER_TWO}",
            "mean": f"values, abs, sum = [2] * 5, (lambda value: 0), (lambda values: 10)\n\n\n{MEAN}",
            "centre": f"found, len, float = [-1, 1], (lambda value: 7), (lambda value: 30.0)\n\n\n{CENTRE}",
        },
    ),
    attack(
        "changes the random numbers",
        {
            "double": "import random as numbers\n\n"
            "numbers.Random.randrange = lambda self, *limits: 2\n"
            f"numbers.Random.random = lambda self: 2.0\n\n\n{FOR_THE_NUMBER_TWO}",
            "mean": MEAN,
        },
    ),
    attack(
        "replaces `checks` by one that gives all points",
        patched(
            "class checks:",
            "    def __getattr__(self, name):",
            "        return lambda *answers: 30.0",
            "",
            "",
            "checks = sys.modules['helpers.checks'] = checks()",
        ),
    ),
    attack(
        "an input transformer that leaves nothing of a cell",
        patched(
            "shell = get_ipython()",
            "shell.input_transformers_cleanup.append(lambda lines: ['pass\\n'])",
            "shell.input_transformers_post.append(lambda lines: ['pass\\n'])",
        ),
    ),
    attack(
        "a syntax transformer that leaves no assert",
        patched(
            "import ast",
            "",
            "",
            "class NoAsserts(ast.NodeTransformer):",
            "    def visit_Assert(self, node):",
            "        return ast.copy_location(ast.Pass(), node)",
            "",
            "",
            "get_ipython().ast_transformers.append(NoAsserts())",
        ),
    ),
    attack(
        "hooks before and after each cell",
        patched(
            "def forgive(result):",
            "    result.error_in_exec = result.error_before_exec = None",
            "    result.result = 30.0",
            "",
            "",
            "get_ipython().events.register('post_run_cell', forgive)",
            "get_ipython().events.register('pre_run_cell', lambda info: setattr(info, 'raw_cell', 'pass'))",
        ),
    ),
    attack(
        "a shell that shows no errors",
        patched(
            "shell = get_ipython()",
            "shell._showtraceback = shell.showtraceback = shell.showsyntaxerror = lambda *_, **__: None",
            "shell.set_custom_exc((BaseException,), lambda *_, **__: None)",
        ),
    ),
    attack(
        "a shell that raises an error instead of running a cell",
        patched("def run_cell(*_, **__):", "    raise SystemExit(30)", "", "", "get_ipython().run_cell = run_cell"),
    ),
    attack(
        "a runner that returns points",
        patched(
            "shown = {'output_type': 'execute_result', 'data': {'text/plain': '30.0'}, 'metadata': {}, 'execution_count': 1}",
            "get_ipython().display_pub.runner.run = lambda source: [shown]",
            "type(get_ipython().display_pub.runner).run = lambda self, source: [shown]",
        ),
    ),
    attack(
        "JSON that says what one wants",
        patched("import json", 'json.dumps = lambda *_, **__: \'{"done": 3, "value": true}\''),
    ),
    attack(
        "a trace function that changes results",
        patched(
            "def trace(frame, event, argument):",
            "    if frame.f_code.co_name in ('pack', '_packed'):",
            "        frame.f_locals['value'] = True",
            "    return trace",
            "",
            "",
            "sys.settrace(trace)",
            "threading.settrace(trace)",
        ),
    ),
]
