"""States whose values are the words a person reads."""

from __future__ import annotations

from enum import Enum


class Word(str, Enum):
    """A state that prints as its value."""

    def __str__(self) -> str:
        return str(self.value)
