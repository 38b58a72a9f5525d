"""The base class of errors that are meant for students."""

__all__ = ["PlainError", "sentence"]


class PlainError(Exception):
    """An error whose message says what to do; a notebook shows the message without a stack trace."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython prints instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


def sentence(error: BaseException) -> str:
    """Return an error as a sentence for a widget to show."""
    if isinstance(error, KeyboardInterrupt):
        return "Stopped."
    message = str(error).strip()
    if isinstance(error, PlainError):
        return message
    return f"{type(error).__name__}: {message.splitlines()[0]}" if message else type(error).__name__
