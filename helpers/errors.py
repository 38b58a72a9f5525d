"""The base of the errors that a student is meant to read."""

__all__ = ["PlainError", "sentence"]


class PlainError(Exception):
    """An error whose message says what to do; a notebook shows the message and no stack trace."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


def sentence(error: BaseException) -> str:
    """An error in a sentence, for a widget to show: its own where it has one made for people."""
    if isinstance(error, KeyboardInterrupt):
        return "Stopped."
    said = str(error).strip()
    if isinstance(error, PlainError):
        return said
    return f"{type(error).__name__}: {said.splitlines()[0]}" if said else type(error).__name__
