"""DBC files as they are found: what cantools cannot read is left out, with file and line, and the rest works."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from giljabi.types import BadInputError

# What a statement can begin with, at the begin of a line and outside of a text.
KEYWORDS = (
    "VERSION", "NS_", "BS_", "BU_", "VAL_TABLE_", "BO_", "SG_", "BO_TX_BU_", "EV_", "ENVVAR_DATA_", "CM_", "BA_DEF_",
    "BA_DEF_REL_", "BA_DEF_DEF_", "BA_DEF_DEF_REL_", "BA_", "BA_REL_", "VAL_", "SIG_GROUP_", "SIG_VALTYPE_",
    "SIG_TYPE_REF_", "SGTYPE_", "SG_MUL_VAL_", "BU_SG_REL_", "BU_EV_REL_", "BU_BO_REL_", "FILTER", "SIGTYPE_VALTYPE_",
)  # fmt: skip
HEADS = ("VERSION", "NS_", "BS_", "BU_", "BO_", "SG_")  # statements that end without a semicolon
BEGIN = re.compile(rf"\s*({'|'.join(sorted(KEYWORDS, key=len, reverse=True))})(?=[\s:\"]|$)")
MESSAGE = re.compile(r"\s*BO_\s+(\d+)\s+([A-Za-z_]\w*)\s*:\s*(\d+)\s+\w+")
SIGNAL = re.compile(
    r"\s*SG_\s+([A-Za-z_]\w*)\s*(m\d*M?|M)?\s*:\s*\d+\|\d+@[01][+-]\s*\([^,]+,[^)]+\)\s*\[[^|]*\|[^]]*\]\s*\".*\""
)
OF_SIGNAL = re.compile(r"\s*(?:CM_\s+SG_|BA_\s+\"[^\"]*\"\s+SG_|VAL_|SIG_VALTYPE_|SG_MUL_VAL_)\s+(\d+)\s+(\w+)")
OF_MESSAGE = re.compile(r"\s*(?:CM_\s+BO_|BA_\s+\"[^\"]*\"\s+BO_|BO_TX_BU_|SIG_GROUP_)\s+(\d+)")
EXTENDED, LAST_STANDARD, LAST_EXTENDED = 1 << 31, 0x7FF, 0x1FFFFFFF
MAX_ROUNDS = 60  # statements that only cantools finds wrong


@dataclass(slots=True)
class _Statement:
    keyword: str
    first: int  # line, from 0
    last: int


class Repair:
    """One text, its lines, and what was left out of it."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.notes: list[str] = []
        self._statements = list(self._split())

    def read(self, parse: Callable[[str], Any]) -> Any:
        """What `parse` gives of the text, or of what of it can be read; BadInputError with file and line.

        parse: raises whatever it likes.
        """
        self._drop_signals()
        try:
            return parse(self._text())
        except Exception:  # cantools lets parser, value and key errors through
            self._mend()
        for _ in range(MAX_ROUNDS):
            try:
                found = parse(self._text())
                self.notes.sort(key=lambda note: int(note[len(str(self.path)) + 1 :].partition(":")[0]))
                return found
            except Exception as e:  # as above
                if not self._drop_cause(parse, e):
                    raise self._error(e) from None
        raise BadInputError(f"{self.path}:1: more than {MAX_ROUNDS} statements cannot be read; a DBC file is expected")

    # --- statements ---------------------------------------------------------------------------------

    def _split(self) -> Any:
        inside = False  # a text between quotes
        current: _Statement | None = None
        for i, line in enumerate(self.lines):
            found = None if inside else BEGIN.match(line)
            if found and (found.end() < len(line.rstrip()) or found[1] in ("NS_", "BS_", "BU_")):
                if current is not None:
                    yield current
                current = _Statement(found[1], i, i)
            elif current is not None and line.strip():
                current.last = i
            inside ^= line.replace('\\"', "").count('"') % 2 == 1
        if current is not None:
            yield current

    def _text(self, statements: int | None = None) -> str:
        """The text, or that of the first so many statements."""
        if statements is None:
            return "\n".join(self.lines) + "\n"
        end = self._statements[statements - 1].last + 1 if statements else 0
        return "\n".join(self.lines[:end]) + "\n"

    def _of(self, s: _Statement) -> str:
        return "\n".join(self.lines[s.first : s.last + 1])

    def _drop(self, s: _Statement, why: str) -> None:
        what = self.lines[s.first].strip()[:40]
        self.notes.append(f"{self.path}:{s.first + 1}: '{what}' {why} and is left out")
        for i in range(s.first, s.last + 1):
            self.lines[i] = ""
        self._statements.remove(s)

    # --- what can be told without a parser ----------------------------------------------------------

    def _drop_signals(self) -> None:
        for s in [s for s in self._statements if s.keyword == "SG_"]:
            if not SIGNAL.match(self.lines[s.first]):
                self._drop(s, "cannot be read as a signal")

    def _mend(self) -> None:
        """Drops what is no statement, or speaks of what is not there; long identifiers are extended ones."""
        self._mend_messages()
        for s in list(self._statements):
            if s.keyword not in HEADS and not self._of(s).rstrip().endswith(";"):
                self._drop(s, "has no semicolon at its end")
        signals: dict[int, set[str]] = {}
        names: set[str] = set()
        for s in self._statements:
            if s.keyword == "BO_" and (m := MESSAGE.match(self.lines[s.first])):
                names = signals.setdefault(int(m[1]), set())
            elif s.keyword == "SG_" and (m := SIGNAL.match(self.lines[s.first])):
                names.add(m[1])
        for s in list(self._statements):
            self._mend_reference(s, signals)

    def _mend_messages(self) -> None:
        bad = False
        for s in list(self._statements):
            if s.keyword == "BO_":
                m = MESSAGE.match(self.lines[s.first])
                bad = m is None
                if m is None:
                    self._drop(s, "cannot be read as a message, with its signals,")
                elif int(m[1]) & ~EXTENDED > LAST_EXTENDED:
                    bad = True
                    self._drop(s, "has an identifier of more than 29 bits, with its signals,")
                elif LAST_STANDARD < int(m[1]) <= LAST_EXTENDED:
                    line = self.lines[s.first]
                    self.lines[s.first] = f"{line[: m.start(1)]}{int(m[1]) | EXTENDED}{line[m.end(1) :]}"
                    what = f"identifier 0x{int(m[1]):X} has more than 11 bits and is taken as an extended one"
                    self.notes.append(f"{self.path}:{s.first + 1}: {m[2]}: {what}")
            elif s.keyword == "SG_" and bad:
                self._drop(s, "belongs to no message")

    def _mend_reference(self, s: _Statement, signals: dict[int, set[str]]) -> None:
        line = self.lines[s.first]
        m = OF_SIGNAL.match(line) or OF_MESSAGE.match(line)
        if m is None or s.keyword in ("BO_", "SG_"):
            return
        key = int(m[1])
        if key not in signals and key | EXTENDED in signals:
            key |= EXTENDED
            self.lines[s.first] = f"{line[: m.start(1)]}{key}{line[m.end(1) :]}"
        if key not in signals:
            self._drop(s, f"is for message {m[1]}, which is not there,")
        elif m.re is OF_SIGNAL and m[2] not in signals[key]:
            self._drop(s, f"is for signal {m[2]}, which its message does not have,")

    # --- what only the parser finds -----------------------------------------------------------------

    def _drop_cause(self, parse: Callable[[str], Any], e: Exception) -> bool:
        """Drops the statement that the error is about; False when there is none."""
        found = re.search(r"at line (\d+)", str(e))
        if found is not None:
            line = int(found[1]) - 1
            for s in self._statements:
                if s.first <= line <= s.last:
                    self._drop(s, "is not understood")
                    return True
            return False
        low, high = 0, len(self._statements)  # the first so many can be read; so many cannot
        while high - low > 1:
            middle = (low + high) // 2
            try:
                parse(self._text(middle))
                low = middle
            except Exception:  # whatever cantools raises
                high = middle
        if high == 0:
            return False
        cause = self._statements[high - 1]
        if cause.keyword in ("VERSION", "NS_", "BS_", "BU_"):
            return False
        orphans = []
        if cause.keyword == "BO_":
            for s in self._statements[high:]:
                if s.keyword != "SG_":
                    break
                orphans.append(s)
        self._drop(cause, f"cannot be used ({_first_line(e)})")
        for s in orphans:
            self._drop(s, "belongs to no message")
        return True

    def _error(self, e: Exception) -> BadInputError:
        found = re.search(r"line (\d+)", str(e))
        return BadInputError(f"{self.path}:{found[1] if found else 1}: {_first_line(e)}; a DBC file is expected")


def lines_of(lines: list[str]) -> dict[tuple[int, str], int]:
    """Line of each message and signal, from 1, by identifier as the file has it and name ("" for the message)."""
    out: dict[tuple[int, str], int] = {}
    key = -1
    for i, line in enumerate(lines):
        if m := MESSAGE.match(line):
            key = int(m[1])
            out.setdefault((key, ""), i + 1)
        elif m := SIGNAL.match(line):
            out.setdefault((key, m[1]), i + 1)
    return out


def _first_line(e: Exception) -> str:
    return str(e).splitlines()[0] if str(e) else type(e).__name__
