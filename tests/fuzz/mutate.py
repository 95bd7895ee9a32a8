"""Mutation of real inputs, the same for the same seed; `make fuzz` has the coverage-guided kind, too."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

WORDS = (b"$", b"!", b"*", b",", b"\\", b"\r\n", b"\x00", b"\xff", b"nan", b"inf", b"1e999", b"-1", b"999999999999")


def mutated(rng: random.Random, data: bytes, others: Sequence[bytes], longest: int = 4096) -> bytes:
    """Bits flipped, pieces removed, doubled, moved between inputs, words of the formats put in: 1 to 8 of these."""
    draw, out = rng.random, bytearray(data[:longest])  # randrange takes five times as long
    for _ in range(1 + int(8 * draw())):
        at = int(draw() * (len(out) + 1))
        end = min(len(out), at + 1 + int(40 * draw()))
        kind = int(6 * draw())
        if kind == 0 and at < len(out):
            out[at] ^= 1 << int(8 * draw())
        elif kind == 1:
            del out[at:end]
        elif kind == 2:
            out[at:at] = out[at:end]
        elif kind == 3:
            other = others[int(draw() * len(others))]
            place = int(draw() * (len(other) + 1))
            out[at:end] = other[place : place + end - at]
        elif kind == 4:
            out[at:at] = WORDS[int(draw() * len(WORDS))]
        else:
            out[at:end] = rng.randbytes(end - at)
    return bytes(out[:longest])


def mutations(seeds: Sequence[bytes], count: int, seed: int, longest: int = 4096) -> Iterator[bytes]:
    """count inputs out of seeds."""
    rng = random.Random(seed)
    for _ in range(count):
        yield mutated(rng, rng.choice(seeds), seeds, longest)


def flipped(rng: random.Random, data: bytes) -> bytes:
    """One to three bits of it wrong, and sometimes its end lost."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        out[int(rng.random() * len(out))] ^= 1 << int(8 * rng.random())
    return bytes(out[: int(rng.random() * len(out)) + 1] if rng.random() < 0.1 else out)
