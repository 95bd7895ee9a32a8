"""Mutation of real inputs, the same for the same seed; `make fuzz` has the coverage-guided kind."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

WORDS = (b"$", b"!", b"*", b",", b"\\", b"\r\n", b"\x00", b"\xff", b"nan", b"inf", b"1e999", b"-1", b"999999999999")


def mutations(seeds: Sequence[bytes], count: int, seed: int, longest: int = 4096) -> Iterator[bytes]:
    """count inputs: bits flipped, pieces removed, doubled, moved between inputs, words of the formats put in."""
    rng = random.Random(seed)
    for _ in range(count):
        data = bytearray(rng.choice(seeds)[:longest])
        for _ in range(rng.randint(1, 8)):
            at = rng.randrange(len(data) + 1)
            end = min(len(data), at + rng.randint(1, 40))
            kind = rng.randrange(6)
            if kind == 0 and at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                del data[at:end]
            elif kind == 2:
                data[at:at] = data[at:end]
            elif kind == 3:
                other = rng.choice(seeds)
                place = rng.randrange(len(other) + 1)
                data[at:end] = other[place : place + end - at]
            elif kind == 4:
                data[at:at] = rng.choice(WORDS)
            else:
                data[at:end] = rng.randbytes(end - at)
        yield bytes(data[:longest])
