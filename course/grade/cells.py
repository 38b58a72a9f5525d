"""A notebook's cells, run in this process: the outputs that a kernel would have sent, without a kernel."""

from __future__ import annotations

import base64
import json
import sys
from contextlib import contextmanager
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

__all__ = ["CellRunner", "clean_outputs", "error_output"]

MOST_TEXT = 200_000
"""How many characters of text a cell's outputs keep; the rest is cut off."""
MOST_SHOWN = 4 << 20
"""How many characters all outputs of a cell may have together, pictures included."""


class CellRunner:
    """Runs cells in an IPython shell and returns what they show, in the notebook format."""

    def __init__(self) -> None:
        self.shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
        self.outputs: list[dict] = []
        self.text = 0
        self.shell.display_pub = _Publisher(parent=self.shell)
        self.shell.displayhook = _Hook(parent=self.shell, shell=self.shell)
        self.shell.display_trap.hook = self.shell.displayhook
        self.shell.display_pub.runner = self.shell.displayhook.runner = self
        self.shell._showtraceback = self._error
        self.result: Any = None

    @property
    def namespace(self) -> dict:
        """The names that the cells have defined."""
        return self.shell.user_ns

    def run(self, source: str) -> list[dict]:
        """Run a cell; return its outputs, the last one an error if it failed."""
        self.outputs, self.text, self.result = [], 0, None
        with self._streams():
            outcome = self.shell.run_cell(source, store_history=True)
        self.result = outcome.result
        error = outcome.error_before_exec or outcome.error_in_exec
        if error is not None and not any(output["output_type"] == "error" for output in self.outputs):
            self._error(type(error), error, [type(error).__name__])  # IPython shows some errors as plain text
        return self.outputs

    def stream(self, name: str, text: str) -> None:
        """Add text that was printed."""
        room = MOST_TEXT - self.text
        if room <= 0:
            return
        self.text += len(text)
        text = text if len(text) <= room else text[:room] + "\n… (the rest is cut off)\n"
        last = self.outputs[-1] if self.outputs else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            last["text"] += text
        else:
            self.outputs.append({"output_type": "stream", "name": name, "text": text})

    def _error(self, kind: type, error: BaseException, lines: list[str]) -> None:
        frames = [str(line)[:20_000] for line in lines][-50:]
        try:
            evalue = str(error)[:20_000]
        except Exception:
            evalue = "an error whose message can't be shown"
        self.outputs.append({"output_type": "error", "ename": kind.__name__, "evalue": evalue, "traceback": frames})

    @contextmanager
    def _streams(self):
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _Stream(self, "stdout"), _Stream(self, "stderr")
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams


def clean_outputs(found: Any) -> list[dict]:
    """Return outputs in the notebook format, whatever they were: bytes as base64, no half characters, not too much."""
    cleaned, room = [], MOST_SHOWN
    for output in found if isinstance(found, list) else []:
        made = _clean(output) if isinstance(output, dict) else None
        if made is None:
            continue
        room -= len(json.dumps(made))
        if room < 0:
            cleaned.append({"output_type": "stream", "name": "stdout", "text": "… (the rest is left out)\n"})
            break
        cleaned.append(made)
    return cleaned


def error_output(name: str, sentence: str) -> dict:
    """Return the output of a cell that failed with an error of this name."""
    return {"output_type": "error", "ename": name, "evalue": sentence, "traceback": [f"{name}: {sentence}"]}


def _clean(output: dict) -> dict | None:
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": kind, "name": name, "text": _text(output.get("text"))}
    if kind == "error":
        frames = output.get("traceback")
        frames = [_text(frame) for frame in frames] if isinstance(frames, list) else []
        texts = {name: _text(output.get(name)) for name in ("ename", "evalue")}
        return {"output_type": kind, **texts, "traceback": frames}
    if kind in ("display_data", "execute_result") and isinstance(output.get("data"), dict):
        data = {_text(name): _plain(value, _text(name)) for name, value in output["data"].items()}
        count = {"execution_count": 1} if kind == "execute_result" else {}
        return {"output_type": kind, "data": data, "metadata": {}, **count}
    return None


def _plain(value: Any, kind: str) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, str) or not kind.endswith("json"):
        return _text(value)
    try:
        return json.loads(json.dumps(value, allow_nan=False).encode("utf-8", "replace"))
    except (TypeError, ValueError, RecursionError):
        return _text(repr(value)[:MOST_TEXT])


def _text(value: Any) -> str:
    return str("" if value is None else value)[:MOST_SHOWN].encode("utf-8", "replace").decode()


class _Stream:
    """A text stream whose text becomes an output of the cell."""

    encoding, errors, closed = "utf-8", "replace", False

    def __init__(self, runner: CellRunner, name: str) -> None:
        self.runner, self.name = runner, name

    def write(self, text: str) -> int:
        self.runner.stream(self.name, str(text))
        return len(text)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def fileno(self) -> int:
        raise OSError("this stream is not a file")


class _Publisher(DisplayPublisher):
    runner: Any = None

    def publish(self, data, metadata=None, *, transient=None, update=False, **kwargs) -> None:
        output = {"output_type": "display_data", "data": dict(data), "metadata": dict(metadata or {})}
        self.runner.outputs.append(output)

    def clear_output(self, wait=False) -> None:
        self.runner.outputs.clear()


class _Hook(DisplayHook):
    runner: Any = None

    def start_displayhook(self) -> None:
        pass

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict, md_dict=None) -> None:
        output = {"output_type": "execute_result", "data": dict(format_dict), "metadata": dict(md_dict or {})}
        self.runner.outputs.append(output | {"execution_count": self.shell.execution_count})

    def finish_displayhook(self) -> None:
        pass
