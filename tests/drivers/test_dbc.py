"""Databases as they are found: one broken statement costs itself, is told with its line, and the rest works."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from giljabi.types import BadInputError
from giljabi_drivers.dbc import load_dbc

ROOT = Path(__file__).resolve().parents[2]
HEAD = ['VERSION ""', "", "NS_ :", "\tCM_", "\tBA_", "", "BS_:", "", "BU_: X Y", ""]
GOOD = [
    "BO_ 100 FIRST: 8 X",
    ' SG_ A : 0|8@1+ (1,0) [0|255] "" Y',
    ' SG_ B : 8|8@1+ (0.5,0) [0|255] "m" Y',
    "",
    "BO_ 200 SECOND: 8 X",
    ' SG_ C : 7|16@0- (1,0) [0|255] "" Y',
    "",
]
TAIL = ['CM_ SG_ 100 A "BO_ 9 is a text,', ' SG_ too";', 'VAL_ 100 A 0 "off" 1 "on";']


def names(path: Path) -> dict[str, list[str]]:
    return {m.name: list(m.fields) for m in load_dbc(path).by_name.values()}


EVERYTHING = {"FIRST": ["A", "B"], "SECOND": ["C"]}


def test_a_good_file_has_nothing_to_note(tmp_path: Path) -> None:
    path = tmp_path / "x.dbc"
    path.write_text("\n".join(HEAD + GOOD + TAIL) + "\n")
    assert names(path) == EVERYTHING
    assert load_dbc(path).notes == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["BO_ 300 3RD: 8 X", ' SG_ D : 0|8@1+ (1,0) [0|255] "" Y'], "cannot be read as a message"),
        (["BO_ 300 THIRD 8 X"], "cannot be read as a message"),
        (["BO_ 1075054137 THIRD: 8 X", ' SG_ D : 0|8@1+ (1,0) [0|255] "" Y'], "more than 29 bits"),
        (['CM_ "front target"'], "has no semicolon"),
        (['CM_ SG_ 100 "no name";'], "is not understood"),
        (['CM_ 100 "no kind";'], "is not understood"),
        (['VAL_ 100 NOBODY 0 "off";', 'VAL_ 100 A 2 "more" 3'], "NOBODY, which its message does not have"),
        (['VAL_ 555 A 0 "off";', 'VAL_ 100 A 2 "more" 3'], "message 555, which is not there"),
        (["SIG_VALTYPE_ 100 A : nonsense;"], "is not understood"),
        (['BA_ "Undefined" BO_ 100 5;'], "BA_"),
    ],
)
def test_a_broken_statement_costs_itself_only(lines: list[str], words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.dbc"
    path.write_text("\n".join(HEAD + GOOD + lines + TAIL) + "\n")
    assert names(path) == EVERYTHING
    notes = load_dbc(path).notes
    at = len(HEAD + GOOD) + 1
    assert notes, "it was left out without a word"
    assert notes[0].startswith(f"{path}:{at}: '{lines[0].strip()[:40]}'")
    assert words in notes[0]


def test_a_broken_signal_costs_itself_only(tmp_path: Path) -> None:
    path = tmp_path / "x.dbc"
    path.write_text(
        "\n".join([*HEAD, *GOOD, ' SG_ 0_COUNTER : 0|8@1+ (1,0) [0|255] "" Y', ' SG_ E : 40|8@1+ (1,0) "" Y'])
    )
    assert names(path) == EVERYTHING
    notes = load_dbc(path).notes
    assert [n.split(": ")[0] for n in notes] == [f"{path}:{len(HEAD + GOOD) + i}" for i in (1, 2)]


def test_a_long_identifier_is_an_extended_one(tmp_path: Path) -> None:
    path = tmp_path / "x.dbc"
    more = ["BO_ 217056256 ENGINE: 8 X", ' SG_ E : 0|8@1+ (1,0) [0|255] "" Y', 'CM_ BO_ 217056256 "J1939";']
    path.write_text("\n".join(HEAD + GOOD + more[:2] + TAIL + more[2:]) + "\n")
    got = load_dbc(path)
    engine = got.by_name["ENGINE"]
    assert (engine.can_id, engine.extended, list(engine.fields)) == (217056256, True, ["E"])
    assert len(got.notes) == 1
    assert "ENGINE: identifier 0xCF00400 has more than 11 bits and is taken as an extended one" in got.notes[0]


def test_nothing_but_a_bad_input_error_comes_out(tmp_path: Path) -> None:
    """Our own database with lines cut, swapped and bitten, in many ways: read in part, or refused with a line."""
    text = (ROOT / "config" / "dbc" / "car.dbc").read_text().splitlines()
    text = text[:30] + text[-40:]
    rng = random.Random(5)
    read = 0
    for n in range(60):
        lines = list(text)
        for _ in range(rng.randrange(1, 5)):
            i = rng.randrange(len(lines))
            line = lines[i]
            at = rng.randrange(len(line) + 1)
            lines[i] = rng.choice([line[:at], line[:at] + rng.choice('":;|@ 9\x00') + line[at:], "", line + line])
        path = tmp_path / f"{n}.dbc"
        path.write_text("\n".join(lines))
        try:
            read += bool(load_dbc(path).by_name)
        except BadInputError as e:
            assert str(e).startswith(f"{path}:")  # noqa: PT017
    assert read >= 50
