"""Values out of a mission file by their path, with errors at their lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from giljabi.missions.plan import PlanItem
from giljabi.yaml_file import Key, YamlFile


def number(v: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v)


@dataclass(frozen=True, slots=True)
class Reader:
    """The file's data with lines for errors."""

    file: YamlFile

    def get(self, *key: str | int) -> Any:
        """The value at a path; an error at its parent's line when it is missing."""
        data: Any = self.file.data
        for i, part in enumerate(key):
            ok = isinstance(data, dict) and part in data if isinstance(part, str) else isinstance(data, list)
            ok = ok and (not isinstance(part, int) or part < len(data))
            if not ok:
                where = ".".join(map(str, key[: i + 1]))
                raise self.file.error(key[:i], f"'{where}' is missing; a value is expected")
            data = data[part]
        return data

    def numbers(self, key: Key, count: int) -> list[float | None]:
        """A list of at least `count` numbers; null is None."""
        values = self.get(*key)
        good = isinstance(values, list) and len(values) >= count
        if not good or not all(v is None or number(v) for v in values):
            raise self.file.error(key, f"{count} numbers are expected")
        return [None if v is None else float(v) for v in values]

    def list(self, *key: str | int) -> list[Any]:
        """A list at a path."""
        value = self.get(*key)
        if not isinstance(value, list):
            raise self.file.error(key, f"'{'.'.join(map(str, key))}' is no list; a list is expected")
        return value

    def item(self, data: dict[str, Any], key: Key) -> PlanItem:
        """A step, whose errors stand at a key path."""
        return self.file.validate(PlanItem, data, key)
