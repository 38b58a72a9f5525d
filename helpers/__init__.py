"""The small library that the course's notebooks import.

Import what you need from its modules, for example ``from helpers import picturebook`` or
``from helpers.models import load``. Nothing heavy happens here: torch, transformers and friends are
imported by the function that needs them, so that ``import helpers`` is instant.
"""

__version__ = "0.1.0"
