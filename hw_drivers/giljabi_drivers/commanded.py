"""Which actuators go out through a driver, held against the commands of its options."""

from __future__ import annotations

from collections.abc import Iterable

from giljabi.platform import Actuator, Platform


def commanded(platform: Platform, driver: str, commands: Iterable[str]) -> dict[str, Actuator]:
    """The driver's actuators by name; raises BadInputError with the line where one or its command is missing."""
    mine = {n: a for n, a in platform.model.actuators.items() if a.driver == driver}
    names = list(commands)
    for n in mine:
        if n not in names:
            what = f"actuator '{n}' goes through driver '{driver}', which has no command for it"
            raise platform.error(("actuators", n), f"{what}; one is expected under options.commands")
    for n in names:
        if n not in mine:
            known = ", ".join(mine) or "none"
            key = ("drivers", driver, "options", "commands", n)
            raise platform.error(key, f"no actuator '{n}' goes through this driver; known are {known}")
    return mine
