"""Command lines whose errors are one line."""

from __future__ import annotations

import argparse

from giljabi.types import BadInputError


class Parser(argparse.ArgumentParser):
    """argparse with the project's one-line errors."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raises BadInputError instead of printing usage."""
        raise BadInputError(f"{self.prog}: {message}; see `{self.prog} --help`")
