"""usage: python tests/fuzz/guided.py TARGET [libFuzzer option]... [CORPUS]     coverage-guided, by atheris

Fuzzes one Python target; an input that breaks a promise is kept as crash-*. `make fuzz` calls this for each of them.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Instruments our packages while they are imported, then hands over to libFuzzer."""
    with atheris.instrument_imports(include=["giljabi", "giljabi_drivers", "giljabi_sim"]):
        import targets
    name = sys.argv.pop(1)
    target = targets.TARGETS[name]()
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
