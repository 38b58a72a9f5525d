"""The small library that the course's notebooks import.

Import what you need from its modules, for example `from helpers import picturebook` or
`from helpers.models import load`. torch, transformers and other large libraries are imported by the functions that need
them, so `import helpers` is fast.
"""

from helpers.ready import ready_to_hand_in

__all__ = ["ready_to_hand_in"]
__version__ = "0.1.0"
