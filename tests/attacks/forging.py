"""Attacks that reach the student's end of the channel, and speak to the judge in its place."""

from __future__ import annotations

from functools import partial

from attacks import GUESS, Attack, during

attack = partial(Attack, "forging")

CHANNEL = '''
def at_the_wire():
    """The student's end, and the request that it is working on."""
    frame, student, request = sys._getframe(), None, None
    while frame is not None:
        names = frame.f_locals
        if type(names.get("self")).__name__ == "Student":
            student, request = names["self"], request or names.get("message")
        frame = frame.f_back
    return student, request


def send(text, *sizes, count=None, length=None):
    """Sends a message whose header may lie."""
    head = struct.pack("<II", len(text) if length is None else length, len(sizes) if count is None else count)
    student, _ = at_the_wire()
    student.wire.end.sendall(head + struct.pack(f"<{len(sizes)}q", *sizes) + text)


def answer(node, buffers=(), **more):
    """Answers the request that is being worked on, and keeps the real answer back."""
    student, request = at_the_wire()
    own = student.wire.send
    student.wire.send = lambda *_: setattr(student.wire, "send", own)
    own({"done": request["id"], "value": node, "changes": [], "records": []} | more, buffers)


def error(name, message, *args):
    """What stands for an error."""
    return {"error": name, "bases": ["Exception", "BaseException"], "message": message, "args": {"list": [*args]}}


def raising(*requests):
    """Lets the student's end fail at these requests."""
    student, _ = at_the_wire()
    work = type(student)._done

    def fail(self, message, args, options):
        if message["do"] in requests:
            raise ValueError("no")
        return work(self, message, args, options)

    type(student)._done = fail
'''


def forged(body: str) -> dict[str, str]:
    """`double`, which does this with the channel when it is called, and then makes a guess."""
    return during(body, before=CHANNEL)


def at_once(body: str) -> dict[str, str]:
    """`double`, whose cell does this with the channel when it runs."""
    return {"double": f"{CHANNEL.strip()}\n\n\n{GUESS}\n\n\n{body}"}


MESSAGES = [
    attack("a made-up value", forged("answer(True)")),
    attack(
        "answers to questions that were not asked",
        forged("""
            student, request = at_the_wire()
            for number in (request["id"] + 1, -1, 1e300, "1", None, [], {}):
                student.wire.send({"done": number, "value": 4})
        """),
    ),
    attack(
        "messages that are not objects", forged("for text in (b'[1]', b'4', b'null', b'\"done\"'):\n    send(text)")
    ),
    attack("a message of four gigabytes", forged("send(b'{', length=2**32 - 1)\ntime.sleep(60)")),
    attack("buffers of a negative size", forged("send(b'{}', -1, -(2**62))")),
    attack("half a message, and then silence", forged("send(b'{\"done\"', length=1000)\ntime.sleep(60)")),
    attack(
        "a message that comes letter by letter",
        forged("""
            student, _ = at_the_wire()
            for byte in struct.pack("<II", 10_000, 0) + b"{" * 10_000:
                student.wire.end.sendall(bytes([byte]))
                time.sleep(0.3)
        """),
    ),
    attack("garbage", forged("at_the_wire()[0].wire.end.sendall(os.urandom(1 << 20))")),
    attack("closes the connection", forged("at_the_wire()[0].wire.end.close()")),
    attack("a hundred thousand brackets", forged("send(b'[' * 100_000 + b']' * 100_000)")),
    attack("numbers that are not JSON", forged('send(b\'{"done": NaN, "value": Infinity}\')')),
]

NODES = [
    attack(
        "a tensor whose data are missing",
        forged('answer({"tensor": {"dtype": "float32", "shape": [10**6, 10**6], "data": 0}}, [b""])'),
    ),
    attack("an array of pointers", forged('answer({"array": ["O", [1], 0]}, [struct.pack("<q", 1)])')),
    attack("eight gigabytes of zeros in a few words", forged('answer({"kind": "x", "of": "bytes", "value": 8 << 30})')),
    attack(
        "a list made of a long range", forged('answer({"kind": "x", "of": "list", "value": {"range": [0, 10**10, 1]}})')
    ),
    attack(
        "keys that all have the same hash",
        forged('answer({"dict": [[number * (2**61 - 1), 0] for number in range(1, 70_000)]})'),
    ),
    attack(
        "a group of errors, which IPython prints and does not show",
        forged("""
            inner = error("builtins:ValueError", "y", "y")
            answer(None, error=error("builtins:ExceptionGroup", "x (1 sub-exception)", "x", {"list": [inner]}))
        """),
    ),
    attack(
        "a group of errors of the kind that no check catches",
        forged("""
            inner = error("builtins:SystemExit", "0", 0)
            answer(None, error=error("builtins:BaseExceptionGroup", "x (1 sub-exception)", "x", {"list": [inner]}))
        """),
    ),
    attack(
        "an error of the debugger, on which IPython is silent",
        forged("answer(None, error=error('bdb:BdbQuit', '') | {'bases': ['BdbQuit', 'Exception']})"),
    ),
    attack(
        "a syntax error in a line of a secret file",
        forged("""
            place = {"tuple": [str(SECRET), 1, 1, "x"]}
            answer(None, error=error("builtins:SyntaxError", f"m ({SECRET.name}, line 1)", "m", place))
        """),
    ),
    attack(
        "a record of a class that runs programs",
        forged("""
            fields = {"dict": [["args", {"list": ["touch", str(OUTSIDE / "touched")]}]]}
            answer({"record": "helpers.settings:subprocess.Popen", "fields": fields})
        """),
    ),
    attack(
        "a stand-in that says it is a number",
        forged('answer({"mine": 1, "how": "", "type": "int", "shown": "4"})'),
    ),
    attack("a state of random numbers that is none", forged("answer(4, [bytes(5056)], random=0)")),
    attack(
        "changes of things that were never given",
        forged(
            "answer(4, changes=[[1, 4], ['x', {}], [True, None], [{}, []], 5, [[], []]], records=[[1, 4], 'x', {}])"
        ),
    ),
]

QUESTIONS = [
    attack(
        "asks for what has two underscores",
        {
            "double": CHANNEL.strip() + "\n\n\n"
            "def double(x):\n"
            "    student, _ = at_the_wire()\n"
            "    for number in range(100):\n"
            "        for name in ('__class__', '__globals__', '__dict__', 'own', '__init__', None):\n"
            "            try:\n"
            "                student.ask(number, name, how='attribute')\n"
            "                return 2 * x\n"
            "            except Exception:\n"
            "                pass\n"
            "    return 4"
        },
    ),
    attack(
        "asks without end",
        forged("""
            student, _ = at_the_wire()
            while True:
                try:
                    student.ask(1, "x")
                except Exception:
                    pass
        """),
    ),
    attack(
        "asks with parts that are missing or wrong",
        forged("at_the_wire()[0].wire.send({'ask': {}, 'of': [], 'args': 1})"),
    ),
]

OUTPUTS = [
    attack(
        "points as the outputs of a cell",
        at_once(
            "data = {'dict': [['text/plain', '30.0']]}\n"
            "parts = [['output_type', 'execute_result'], ['data', data], ['metadata', {'dict': []}], ['execution_count', 1]]\n"
            "answer({'list': [{'dict': parts}]})"
        ),
    ),
    attack("outputs that have no form", at_once("answer({'list': [{'dict': [['x', 1]]}, {'dict': []}]})")),
    attack(
        "outputs that are not JSON",
        at_once(
            "data = {'dict': [['text/plain', {'float': 'nan'}], ['image/png', {'bytes': 0}], ['x', {'set': [1]}]]}\n"
            "answer({'list': [{'dict': [['output_type', 'display_data'], ['data', data]]}]}, [b'no picture'])"
        ),
    ),
    attack("fails when the judge looks for the exercise", at_once("raising('find')")),
    attack("fails when the judge runs a cell", at_once("raising('run')")),
]

ATTACKS = [*MESSAGES, *NODES, *QUESTIONS, *OUTPUTS]
