"""The base of the errors that a student is meant to read."""

__all__ = ["PlainError"]


class PlainError(Exception):
    """An error whose message says what to do; a notebook shows the message and no stack trace."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]
