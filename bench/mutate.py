"""Mutants of a piece of code: copies with one small fault each.

    for mutant in mutants("y = 2 * x"):
        print(mutant.line, mutant.change)  # 1 y = [-2-]{+3+} * x, and so on

An operator takes a node of the syntax tree and yields replacements for it; OPERATORS has them all. (mutmut and
cosmic-ray have such operators, but run them on modules on disk, with a test command for each mutant.) Places that no
grader should look at are not mutated: docstrings, annotations, number formats, messages of exceptions and what they are
raised `from`. Mutants with the same bytecode as the original or as an earlier mutant are left out ("trivial compiler
equivalence", Papadakis et al. 2015).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import CodeType

__all__ = ["OPERATORS", "Mutant", "mutants"]

Bound = Counter[str]
"""How often the code binds each name: as a parameter, by an assignment, in a loop."""


@dataclass(frozen=True)
class Mutant:
    """A copy with one fault.

    Attributes:
        line: where the fault is, counted from 1.
        operator: the kind of fault, a key of OPERATORS.
        change: the changed lines, as `ast.unparse` writes them, with the fault marked as git's word diff does.
        source: the whole copy.
    """

    line: int
    operator: str
    change: str
    source: str


def mutants(source: str) -> list[Mutant]:
    """Return all mutants of the source, in the order of their lines; deterministic."""
    tree = ast.parse(source)
    original, seen, made = ast.unparse(tree), {fingerprint(compiled(source))}, []
    bound = names_bound(tree)
    for node, line, put in list(places(tree)):
        for operator, make in OPERATORS.items():
            for other in make(node, bound):
                try:
                    put(ast.copy_location(other, node))
                    changed = ast.unparse(tree)
                    digest = fingerprint(compiled(changed))
                except (SyntaxError, ValueError):  # not valid code, or a string that no f-string can contain
                    continue
                finally:
                    put(node)
                if digest not in seen:
                    seen.add(digest)
                    made.append(Mutant(line, operator, word_diff(original, changed), changed))
    return sorted(made, key=lambda mutant: mutant.line)


# ---------------------------------------------------------------- what may be changed

Place = tuple[ast.AST, int, Callable[[ast.AST], None]]
"""A node, its line, and the function that replaces it."""

LEFT_ALONE = {
    (ast.FunctionDef, "returns"),
    (ast.arg, "annotation"),
    (ast.AnnAssign, "annotation"),
    (ast.FormattedValue, "format_spec"),
    (ast.Raise, "cause"),
}


def places(parent: ast.AST, line: int = 0, message: bool = False) -> Iterator[Place]:
    """Yield every node below the parent that may be changed; in a message, only those that are not text."""
    for field, value in ast.iter_fields(parent):
        if (type(parent), field) in LEFT_ALONE:
            continue
        children = value if isinstance(value, list) else [value]
        for i, node in enumerate(children):
            if not isinstance(node, ast.AST) or is_docstring(node) or (message and is_text(node)):
                continue
            where, raised = getattr(node, "lineno", line), isinstance(parent, ast.Raise)
            put = partial(value.__setitem__, i) if value is children else partial(setattr, parent, field)
            if not raised:
                yield node, where, put
            yield from places(node, where, message or raised)


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and is_text(node.value)


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def names_bound(tree: ast.AST) -> Bound:
    return Counter([*stored(tree), *(node.arg for node in ast.walk(tree) if isinstance(node, ast.arg))])


def stored(tree: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


# ---------------------------------------------------------------- operators

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
NAMES = {
    "ceil": ("floor",),
    "endswith": ("startswith",),
    "lower": ("upper",),
    "lstrip": ("rstrip",),
    "max": ("min",),
    "min": ("max",),
    "rstrip": ("lstrip", "strip"),
    "startswith": ("endswith",),
    "strip": ("lstrip", "rstrip"),
    "upper": ("lower",),
}
CHARACTER_SET = 4
"""From this length on, a text without letters and digits counts as a set of characters."""


def comparison(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for i, sign in enumerate(node.ops):
            for other in COMPARISONS[type(sign)]:
                yield like(node, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]])


def arithmetic(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Replace the sign, or keep only one of two operands. Texts and lists keep the sign, because they support only +."""
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        operands = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.value]
        if not any(is_text(each) or isinstance(each, ast.List) for each in operands):
            for other in ARITHMETIC.get(type(node.op), ()):
                yield like(node, op=other())
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
    if isinstance(node, ast.AugAssign):
        yield ast.Assign(targets=[node.target], value=node.value)
    if isinstance(node, ast.UnaryOp):
        yield node.operand


def logic(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Swap `and` and `or`, drop a condition, or negate one."""
    if isinstance(node, ast.BoolOp):
        yield like(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        yield from (like(node, values=rest) if len(rest) > 1 else rest[0] for rest in each_dropped(node.values))
    if isinstance(node, (ast.If, ast.IfExp, ast.While)) and is_negated_by_not(node.test):
        yield like(node, test=ast.UnaryOp(op=ast.Not(), operand=node.test))
    if isinstance(node, ast.comprehension):
        yield from (like(node, ifs=rest) for rest in each_dropped(node.ifs))
        for i, test in enumerate(node.ifs):
            if is_negated_by_not(test):
                negated = ast.UnaryOp(op=ast.Not(), operand=test)
                yield like(node, ifs=[*node.ifs[:i], negated, *node.ifs[i + 1 :]])


def is_negated_by_not(test: ast.expr) -> bool:
    """Whether to negate by adding `not`; comparisons are negated by their sign, and `not x` by dropping the `not`."""
    return not isinstance(test, (ast.Compare, ast.UnaryOp))


def constant(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Change a number by one, flip a boolean, empty a text, or drop one of its lines."""
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield ast.Constant(not value)
        elif isinstance(value, (int, float)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        elif isinstance(value, (str, bytes)):
            empty = type(value)()
            yield ast.Constant(empty if value else "mutant" if isinstance(value, str) else b"mutant")
            if value.count("\n" if isinstance(value, str) else b"\n") > 1:
                yield from (ast.Constant(empty.join(rest)) for rest in each_dropped(value.splitlines(keepends=True)))
    if isinstance(node, ast.JoinedStr):
        yield ast.Constant("")
        parts = [rest for i, rest in enumerate(each_dropped(node.values)) if not is_text(node.values[i])]
        yield from (like(node, values=rest) for rest in parts)


def pattern(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Drop one character from a regular expression or a set of characters."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name("re")), args=[ast.Constant(str(value)), *others]):
            for rest in each_dropped(value):
                if is_regular_expression(rest):
                    yield like(node, args=[ast.Constant(rest), *others])
        case ast.Constant(str(value)) if len(value) >= CHARACTER_SET and not any(c.isalnum() for c in value):
            yield from (ast.Constant(rest) for rest in each_dropped(value))


def is_regular_expression(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def element(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Drop one element of a list, set, tuple or dict."""
    match node:
        case ast.List(elts, ast.Load()) | ast.Set(elts):
            yield from (like(node, elts=rest) for rest in each_dropped(elts))
        case ast.Tuple(elts, ast.Load()) if len(elts) > 1:
            yield from (like(node, elts=rest) for rest in each_dropped(elts))
        case ast.Dict(keys, values):
            rests = zip(each_dropped(keys), each_dropped(values), strict=True)
            yield from (like(node, keys=keys, values=values) for keys, values in rests)


def argument(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Drop an argument of a call, swap two neighbours, or make a `range` one longer or shorter."""
    if isinstance(node, ast.Call):
        args = node.args
        yield from (like(node, args=rest) for rest in each_dropped(args))
        yield from (like(node, keywords=rest) for rest in each_dropped(node.keywords))
        for i in range(len(args) - 1):
            yield like(node, args=[*args[:i], args[i + 1], args[i], *args[i + 2 :]])
        if isinstance(node.func, ast.Name) and node.func.id == "range":
            stop = min(1, len(args) - 1)
            if not isinstance(args[stop], ast.Constant):
                yield from (like(node, args=[*args[:stop], end, *args[stop + 1 :]]) for end in shifted(args[stop]))


def method(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Turn `x.strip()` into `x`, unless x is a module or another outside name; replace a name by its counterpart."""
    match node:
        case ast.Call(func=ast.Attribute(value=receiver)):
            root = receiver
            while isinstance(root, ast.Attribute):
                root = root.value
            if not isinstance(root, ast.Name) or root.id in bound:
                yield receiver
        case ast.Attribute(attr=name) if name in NAMES:
            yield from (like(node, attr=other) for other in NAMES[name])
        case ast.Name(id=name) if name in NAMES and name not in bound:
            yield from (like(node, id=other) for other in NAMES[name])


def cut(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Shift a slice at one end, or drop that end."""
    if isinstance(node, ast.Slice):
        for end in ("lower", "upper"):
            at = getattr(node, end)
            if at is not None:
                yield like(node, **{end: None})
                if not isinstance(at, (ast.Constant, ast.UnaryOp)):
                    yield from (like(node, **{end: other}) for other in shifted(at))


def shifted(number: ast.expr) -> Iterator[ast.expr]:
    """Yield the number plus and minus one."""
    yield from (ast.BinOp(left=number, op=sign(), right=ast.Constant(1)) for sign in (ast.Add, ast.Sub))


def statement(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Drop a statement unless it is a name's only assignment, return None, or swap `break` and `continue`."""
    match node:
        case ast.Assign() if all(bound[name] > 1 for name in stored(node)):
            yield ast.Pass()
        case ast.AugAssign() | ast.Expr() | ast.Raise():
            yield ast.Pass()
        case ast.Return(value=ast.expr()):
            yield ast.Return(value=ast.Constant(None))
        case ast.Break():
            yield from (ast.Pass(), ast.Continue())
        case ast.Continue():
            yield from (ast.Pass(), ast.Break())


def context(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Drop a decorator, or the `with` of a block."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield from (like(node, decorator_list=rest) for rest in each_dropped(node.decorator_list))
    if isinstance(node, ast.With):
        for item, rest in zip(node.items, each_dropped(node.items), strict=True):
            if item.optional_vars is None:
                yield like(node, items=rest) if rest else ast.If(test=ast.Constant(True), body=node.body, orelse=[])


def exception(node: ast.AST, bound: Bound) -> Iterator[ast.AST]:
    """Raise another exception than the documented one, or no longer catch one."""
    match node:
        case ast.Raise(exc=ast.Call()):
            yield like(node, exc=like(node.exc, func=ast.Name("Exception")))
        case ast.ExceptHandler(type=ast.Name() | ast.Attribute()):
            yield like(node, type=ast.Tuple([]))


OPERATORS: dict[str, Callable[[ast.AST, Bound], Iterator[ast.AST]]] = {
    operator.__name__: operator
    for operator in (
        comparison,
        arithmetic,
        logic,
        constant,
        pattern,
        element,
        argument,
        method,
        cut,
        statement,
        context,
        exception,
    )
}


# ---------------------------------------------------------------- helpers


def like(node: ast.AST, **fields) -> ast.AST:
    """Return a copy of the node with these fields replaced."""
    return type(node)(**(dict(ast.iter_fields(node)) | fields))


def each_dropped(items: Sequence) -> Iterator[Sequence]:
    """Yield the items without the first, without the second, and so on."""
    return (items[:i] + items[i + 1 :] for i in range(len(items)))


def compiled(source: str) -> CodeType:
    return compile(source, "<mutant>", "exec", optimize=2, dont_inherit=True)  # without docstrings


def fingerprint(code: CodeType) -> tuple:
    """Return what a code object does, without its position in the source."""
    constants = tuple(fingerprint(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, code.co_exceptiontable, constants


def word_diff(before: str, after: str) -> str:
    """Return the lines that differ, with old and new text marked: "return [-2-]{+3+} * x"."""
    start = common_prefix_length(before, after)
    end = common_prefix_length(before[start:][::-1], after[start:][::-1])
    while start and any(re.match(r"\w\w", text[start - 1 : start + 1]) for text in (before, after)):
        start -= 1  # whole words
    while end and any(re.match(r"\w\w", text[len(text) - end - 1 :]) for text in (before, after)):
        end -= 1
    first, last = before.rfind("\n", 0, start) + 1, before.find("\n", len(before) - end)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    marked = (f"[-{old}-]" if old else "") + (f"{{+{new}+}}" if new else "")
    line = before[first:start] + marked + before[len(before) - end : last if last >= 0 else None]
    return " ".join(line.split())


def common_prefix_length(first: str, second: str) -> int:
    """Return how many characters are the same at the beginning."""
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
