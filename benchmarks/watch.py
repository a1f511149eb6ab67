"""How a long measurement tells how far it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager

Watch = Callable[[str, int], AbstractContextManager[Callable[[], None]]]
"""Given a phase and its number of steps, what is called after each of them."""
