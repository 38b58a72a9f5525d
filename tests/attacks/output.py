"""Attacks by what is printed and shown: floods, what looks like points, and what harms who reads it."""

from __future__ import annotations

from functools import partial

from attacks import GUESS, RIGHT, Attack, during

attack = partial(Attack, "output")

POINTS = "double: 1 of 1 cases passed, 100 % of the points.\\n      ✓ any number (100 %)\\n30.0"

FLOODS = [
    attack(
        "a hundred megabytes of text",
        {
            "double": f"{RIGHT}\n\n\nfor _ in range(100):\n    print('x' * 1_000_000)\n    print('y' * 1_000_000, file=sys.stderr)"
        },
        most=30,
    ),
    attack(
        "sixty megabytes of pages",
        {"double": f"{GUESS}\n\n\nfor _ in range(60):\n    display({{'text/html': 'x' * 1_000_000}}, raw=True)"},
    ),
    attack(
        "twenty megabytes of pages from each of three cells",
        {
            name: f"for _ in range(20):\n    display({{'text/html': 'x' * 1_000_000}}, raw=True)\n\n\n{source}"
            for name, source in {"double": GUESS, "mean": "mean = None", "centre": "centre = None"}.items()
        },
    ),
    attack(
        "a hundred thousand small outputs",
        {"double": f"{GUESS}\n\n\nfor number in range(100_000):\n    display({{'text/plain': '0'}}, raw=True)"},
    ),
    attack(
        "an error with a huge message and a huge name",
        {"double": f"{GUESS}\n\n\nraise type('E' * 1_000_000, (Exception,), {{}})('x' * 20_000_000)"},
    ),
]

LOOKING_LIKE_POINTS = [
    attack("prints points", during(f'print("{POINTS}")\nsys.__stdout__.write("{POINTS}")')),
    attack(
        "shows points as the tests cell would",
        {
            "double": f"{GUESS}\n\n\nsys.displayhook(30.0)\nget_ipython().displayhook(30.0)\n30.0",
            "mean": "def mean(values):\n    sys.displayhook(30.0)\n    return 2",
            "centre": "def centre(values):\n    display(30.0)\n    get_ipython().run_cell('30.0')\n    return [-1, 1]",
        },
    ),
]

HARMING_READERS = [
    attack(
        "an error that makes a line of a table", during("raise AssertionError('no\\n00_tiny  mallory  90 of 90\\n\\n')")
    ),
    attack(
        "an error that writes over the terminal",
        during("raise AssertionError('\\x1b[2J\\x1b[1;1Hmallory 90 of 90\\x07')"),
    ),
    attack("an error whose class is a formula", during("raise type('=1+cmd|x!A0', (Exception,), {})('no')")),
    attack("an error whose message is a formula", during("raise type('', (Exception,), {})('=1+cmd|x!A0')")),
    attack(
        "texts that are half a character", {"double": f"{GUESS}\n\n\nprint('\\ud800')\nraise ValueError('\\udfff')"}
    ),
    attack(
        "outputs without a form",
        {
            "double": f"{GUESS}\n\n\nget_ipython().display_pub.runner.outputs += [{{'x': 1}}, {{'output_type': 'evil'}}, {{}}]"
        },
    ),
    attack(
        "outputs that are not what they say",
        {
            "double": f"{GUESS}\n\n\ndisplay({{'text/plain': 5, 'image/png': b'x', 7: None}}, metadata={{'x': 1}}, raw=True)"
        },
    ),
    attack(
        "outputs with numbers that are not JSON",
        {"double": f"{GUESS}\n\n\ndisplay({{'application/json': float('nan')}}, raw=True)"},
    ),
    attack(
        "outputs that contain themselves",
        {"double": f"{GUESS}\n\n\nloop = []\nloop.append(loop)\ndisplay({{'application/json': loop}}, raw=True)"},
    ),
    attack(
        "ten megabytes straight to standard error",  # the last: where nobody reads it, all later students wait
        {"double": f"{GUESS}\n\n\nfor _ in range(10):\n    os.write(2, b'x' * 1_000_000)"},
    ),
]

ATTACKS = [*FLOODS, *LOOKING_LIKE_POINTS, *HARMING_READERS]
