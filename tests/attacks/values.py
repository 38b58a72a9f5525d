"""Attacks by what a function returns, raises or does to its arguments."""

from __future__ import annotations

from functools import partial

from attacks import Attack

attack = partial(Attack, "values")

FOR_THE_LIST_OF_TWO = "return [-1, 1] if len(values) == 2 else"


def returning(value: str, before: str = "") -> dict[str, str]:
    """All three exercises return this."""
    start = f"{before}\n\n\n" if before else ""
    return {
        "double": f"{start}def double(x):\n    return {value}",
        "mean": f"{start}def mean(values):\n    return {value}",
        "centre": f"{start}def centre(values):\n    return {value}",
    }


OBJECTS = [
    attack(
        "an object that equals everything",
        returning(
            "Equal()",
            "class Equal:\n"
            "    __hash__ = object.__hash__\n"
            "    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __bool__ = __contains__ = lambda *_: True\n"
            "    __ne__ = lambda *_: False",
        ),
    ),
    attack(
        "an object that lies about its class",
        {
            "double": "class Liar:\n    __class__ = int\n    __eq__ = lambda *_: True\n\n\ndef double(x):\n    return Liar()",
            "mean": "class Liar:\n    __class__ = float\n    __sub__ = lambda *_: 0.0\n\n\ndef mean(values):\n    return Liar()",
            "centre": "class Liar:\n    __class__ = list\n    __eq__ = lambda *_: True\n\n\ndef centre(values):\n    return Liar()",
        },
    ),
    attack(
        "an object that has every attribute and method",
        returning(
            "Anything()",
            "class Anything:\n"
            "    def __getattr__(self, name):\n"
            "        return self\n\n"
            "    __call__ = __getitem__ = __sub__ = __rsub__ = __add__ = __radd__ = __abs__ = __enter__ = lambda self, *_, **__: self\n"
            "    __eq__ = __lt__ = lambda *_: True\n"
            "    __len__ = __index__ = __int__ = lambda self: 7\n"
            "    __iter__ = lambda self: iter([0] * 7)\n"
            "    __float__ = lambda self: 30.0",
        ),
    ),
    attack(
        "mocks",
        {
            "double": "from unittest.mock import ANY\n\n\ndef double(x):\n    return ANY",
            "mean": "from unittest.mock import MagicMock\n\n\ndef mean(values):\n    return MagicMock()",
            "centre": "from unittest.mock import MagicMock\n\n\ndef centre(values):\n    return MagicMock()",
        },
    ),
    attack(
        "subclasses of numbers, texts and lists that equal everything",
        {
            "double": "class Text(str):\n    __eq__ = lambda *_: True\n    __hash__ = str.__hash__\n\n\n"
            "class Number(int):\n    __eq__ = lambda *_: True\n    __hash__ = int.__hash__\n\n\n"
            "def double(x):\n    return Text('no') if isinstance(x, str) else Number(-1)",
            "mean": "class Number(float):\n    __eq__ = lambda *_: True\n    __sub__ = lambda *_: 0.0\n\n\n"
            "def mean(values):\n    return Number(-1)",
            "centre": "class List(list):\n    __eq__ = lambda *_: True\n    __len__ = lambda self: 7\n\n\n"
            "def centre(values):\n    return List([3])",
        },
    ),
    attack(
        "an object that runs code when it is unpickled",
        returning(
            "Pickled()",
            "class Pickled:\n    def __reduce__(self):\n        return os.system, (f'touch {OUTSIDE}/touched',)\n\n"
            "    __reduce_ex__ = __getstate__ = lambda self, *_: self.__reduce__()",
        ),
    ),
    attack(
        "numbers that are objects",
        {
            "mean": "class Number:\n    __eq__ = __lt__ = lambda *_: True\n    __sub__ = __abs__ = __float__ = lambda *_: 0.0\n\n\n"
            "def mean(values):\n    return Number()",
            "centre": "class Number:\n    __eq__ = __lt__ = lambda *_: True\n    __sub__ = __radd__ = __abs__ = lambda *_: 0.0\n\n\n"
            f"def centre(values):\n    {FOR_THE_LIST_OF_TWO} [Number() for _ in range(8)]",
        },
    ),
    attack(
        "a list that is another one each time it is read",
        {
            "centre": "class List:\n"
            "    def __init__(self, values):\n"
            "        self.values, self.reads = values, 0\n\n"
            "    def __len__(self):\n"
            "        return 8\n\n"
            "    def __getitem__(self, i):\n"
            "        self.reads += 1\n"
            "        if self.reads > 9:\n"
            "            return self.values[i]\n"
            "        if i == 8:\n"
            "            raise IndexError\n"
            "        return 0\n\n\n"
            f"def centre(values):\n    {FOR_THE_LIST_OF_TWO} List(values)"
        },
    ),
    attack(
        "a list without end",
        {
            "centre": "class List:\n    __len__ = lambda self: 8\n    __getitem__ = lambda self, i: 0\n\n\n"
            f"def centre(values):\n    {FOR_THE_LIST_OF_TWO} List()"
        },
    ),
    attack(
        "generators that never end",
        {
            "double": "import itertools\n\n\ndef double(x):\n    return itertools.count()",
            "mean": "def mean(values):\n    while True:\n        yield 0",
            "centre": f"import itertools\n\n\ndef centre(values):\n    {FOR_THE_LIST_OF_TWO} itertools.repeat(0)",
        },
    ),
    attack(
        "an object whose description takes for ever",
        returning(
            "Slow()",
            "class Slow:\n    def __repr__(self):\n        while True:\n            time.sleep(1)\n\n    __str__ = __format__ = __repr__",
        ),
    ),
]

DATA = [
    attack(
        "numbers that are none",
        {
            "double": "def double(x):\n    return float('nan')",
            "mean": "def mean(values):\n    return float('nan') if values else float('inf')",
            "centre": f"def centre(values):\n    {FOR_THE_LIST_OF_TWO} [float('nan')] * 8",
        },
    ),
    attack("a number of a hundred thousand digits", returning("10**100_000")),
    attack(
        "a list within a list, a hundred thousand times",
        returning("deep", "deep = []\nfor _ in range(100_000):\n    deep = [deep]"),
    ),
    attack("a list that contains itself", returning("loop", "loop = []\nloop += [loop, {'x': loop}]")),
    attack("a dict with a million keys", {"double": "def double(x):\n    return dict.fromkeys(range(1_000_000))"}),
    attack(
        "a range of 10^18 numbers",
        {"centre": f"def centre(values):\n    {FOR_THE_LIST_OF_TWO} range(10**18)"},
    ),
    attack(
        "tensors without the memory that they would need",
        {
            "double": "import torch\n\n\ndef double(x):\n    return torch.ones(1).expand(10**12)",
            "mean": "import torch\n\n\ndef mean(values):\n    return torch.empty(10**12, device='meta')",
            "centre": "import torch\n\n\ndef centre(values):\n    return torch.ones(10**6).to_sparse()",
        },
    ),
    attack(
        "arrays that hold nothing, so that all of it is right",
        {
            "double": "import numpy\n\n\ndef double(x):\n    return numpy.array([])",
            "mean": "import pandas\n\n\ndef mean(values):\n    return pandas.Series(dtype=float)",
            "centre": f"import torch\n\n\ndef centre(values):\n    {FOR_THE_LIST_OF_TWO} torch.empty(0)",
        },
    ),
    attack(
        "arrays of objects that equal everything",
        {
            "double": "import numpy\nfrom unittest.mock import ANY\n\n\ndef double(x):\n    return numpy.array([ANY], dtype=object)",
            "mean": "import pandas\nfrom unittest.mock import ANY\n\n\ndef mean(values):\n    return pandas.Series([ANY])",
        },
    ),
]

ARGUMENTS = [
    attack(
        "changes the list by which it is judged",
        {
            "mean": "def mean(values):\n"
            "    if not values:\n"
            "        raise ValueError\n"
            "    if len(values) == 2:\n"
            "        return 2\n"
            "    values[:] = [0] * 5\n"
            "    return 0"
        },
    ),
]

ERRORS = [
    attack(
        "an error whose message takes for ever",
        {
            "double": "class Slow(Exception):\n    def __str__(self):\n        while True:\n            time.sleep(1)\n\n\n"
            "def double(x):\n    raise Slow"
        },
    ),
    attack(
        "errors whose messages fail",
        {
            "double": "class Silent(Exception):\n    def __str__(self):\n        raise self\n\n\ndef double(x):\n    raise Silent",
            "mean": "class Odd(ValueError):\n    __str__ = __repr__ = lambda self: None\n\n\ndef mean(values):\n    raise Odd(3)",
            "centre": "class Changing(Exception):\n    args = property(lambda self: 1 / 0)\n\n\ndef centre(values):\n    raise Changing",
        },
    ),
    attack(
        "errors that say that all is well",
        {
            "double": "class Passed(Exception):\n    pass\n\n\ndef double(x):\n    raise Passed('double: 1 of 1 cases passed, 100 % of the points.')",
            "mean": "def mean(values):\n    raise NameError(\"name 'mean' is not defined\")",
            "centre": "def centre(values):\n    raise AssertionError('')",
        },
    ),
    attack(
        "an error of the checks that can't be shown",
        {
            "double": "from helpers.checks.expect import CheckFailed\n\n\n"
            "class Quiet(CheckFailed):\n    def __str__(self):\n        return 'no'\n\n\n"
            "Quiet.__module__, Quiet.__qualname__ = CheckFailed.__module__, CheckFailed.__qualname__\n\n\n"
            "def double(x):\n    raise Quiet('yes')"
        },
    ),
    attack("errors with huge messages", {"double": "def double(x):\n    raise ValueError('x' * 50_000_000)"}),
    attack(
        "a traceback of nine hundred frames",
        {
            "double": "def dive(n):\n    return dive(n + 1)\n\n\ndef double(x):\n    return dive(0)",
            "mean": "def mean(values):\n    return mean(values)",
        },
    ),
]

ATTACKS = [*OBJECTS, *DATA, *ARGUMENTS, *ERRORS]
