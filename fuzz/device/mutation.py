"""Makes sequences: by steps (inserted, dropped, repeated, swapped, crossed) and by what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.device import commands as k
from vnethash.fuzz.device.case import (
    BEFORE,
    ENCAPSULATED,
    FRAMES,
    HASHED,
    LOOKS,
    MOST_STEPS,
    UNHASHED,
    key_of,
    legal,
    other_key,
    queue_of,
    table_of,
)
from vnethash.models.device import state as s
from vnethash.models.device.state import Command, Negotiate, Packet, Reset, Space

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from vnethash.models.device.state import Step, Traits

Steps = tuple["Step", ...]

#: Lengths of keys on both sides of every input that a hash has, and of the bound.
_KEYS = (0, 1, 4, 8, 11, 12, 15, 16, 35, 36, 39, 40, 41, 52, 128, 255)
_CLASSES = (4, 4, 4, 4, 7, 9, 200, 255)


def plain(traits: Traits) -> Steps:
    """Return the seed: a plain configuration and two packets."""
    features = s.VERSION_1 | traits.offered & sum(k.ALL_FEATURES)
    steps: list[Step] = [Negotiate(features)]
    if features & s.RSS:
        steps.append(k.command(k.RSS_CONFIG, k.join(k.plain_rss(traits))))
    elif features & s.HASH_REPORT:
        steps.append(k.command(k.HASH_CONFIG, k.join(k.plain_hash(traits))))
    return legal((*steps, Packet(HASHED), Packet(UNHASHED)))


class Mutator:
    """Makes sequences out of sequences for one device; all chance comes from `rng`."""

    def __init__(self, rng: Random, traits: Traits) -> None:
        self._rng = rng
        self._traits = traits
        self._ways: tuple[tuple[Callable[[list[Step], Steps], list[Step]], int], ...] = (
            (self._inserted, 5), (self._changed, 5), (self._dropped, 2), (self._repeated, 1), (self._swapped, 1),
            (self._crossed, 2), (self._renegotiated, 2), (self._shown, 2), (self._rekeyed, 1),
        )
        self._weights = [weight for _, weight in self._ways]

    def child(self, steps: Steps, other: Steps) -> Steps:
        """Return a sequence that differs from another in a few places; `other` is one to cross it with."""
        made = list(steps)
        for _ in range(1 + min(self._rng.getrandbits(3), self._rng.getrandbits(3))):
            (way, _), = self._rng.choices(self._ways, self._weights)
            made = way(made, other)
        if made and not isinstance(made[-1], Packet) and len(made) < MOST_STEPS - 1 and self._rng.random() < 0.8:
            made += [Packet(HASHED), Packet(UNHASHED)]
        return legal(made, self._traits.offered, MOST_STEPS) or plain(self._traits)

    def drawn(self) -> Steps:
        """Return a short sequence: features, a few commands, now and then all that again, and packets."""
        rng = self._rng
        features = self._negotiate()
        made: list[Step] = [features]
        for _ in range(rng.choice((1, 1, 2, 2, 3))):
            made.append(self._command())
            if rng.random() < 0.25:
                made.append(self._packet())
        if rng.random() < 0.45:
            told = [step for step in made if isinstance(step, Command)]
            if rng.random() < 0.3:
                made.append(Reset())
            made.append(features if rng.random() < 0.5 else self._negotiate())
            for _ in range(rng.choice((0, 0, 1, 1, 2))):
                made.append(rng.choice(told) if rng.random() < 0.5 else self._command())
        made += (self._packet() for _ in range(rng.choice((1, 2, 2, 3))))
        return legal(made, self._traits.offered, MOST_STEPS) or plain(self._traits)

    # Steps

    def step(self) -> Step:
        """Return any step."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.12:
            return self._negotiate()
        if draw < 0.17:
            return Reset()
        if draw < 0.18:
            return Space()
        return self._packet() if draw < 0.45 else self._command()

    def _negotiate(self) -> Negotiate:
        often = self._rng.choice((0.3, 0.6, 0.9))
        bits = sum(one for one in k.ALL_FEATURES if self._rng.random() < often)
        if self._rng.random() < 0.85:
            bits |= s.CTRL_VQ
        return Negotiate(s.VERSION_1 | bits & self._traits.offered)

    def _packet(self) -> Packet:
        rng = self._rng
        frame = rng.choice((HASHED, UNHASHED, rng.choice(FRAMES)))
        if self._traits.offered & s.HASH_TUNNEL and rng.random() < 0.2:
            frame = ENCAPSULATED
        looks = rng.choice(LOOKS) if rng.random() < 0.3 else LOOKS[0]
        return Packet(frame, looks, rng.choice(BEFORE) if rng.random() < 0.15 else b"")

    def _command(self) -> Command:
        rng, traits = self._rng, self._traits
        draw = rng.random()
        if draw < 0.40:
            return self._with_fields(k.RSS_CONFIG)
        if draw < 0.57:
            return self._with_fields(k.HASH_CONFIG)
        if draw < 0.70:
            pairs = rng.choice((1, 2, traits.pairs, 0, traits.pairs + 1, 0x8000, 0xFFFF, rng.randrange(9)))
            return self._ended(k.number(k.PAIRS_SET, pairs, 2))
        if traits.offered & s.HASH_TUNNEL and draw < 0.81:
            types = rng.choice((0, traits.tunnel_types, 1 << rng.randrange(12), 1 << 20, rng.getrandbits(12)))
            return self._ended(k.number(k.TUNNEL_SET, types, 4))
        if traits.offered & s.RSS_CONTEXT and draw < 0.92:
            return self._context()
        return self._unknown()

    def _with_fields(self, pair: tuple[int, int]) -> Command:
        fields = k.plain_of(pair, self._traits)
        while self._rng.random() < 0.45:
            fields = self._odd(fields)
        return self._ended(k.command(pair, k.join(fields)))

    def _context(self) -> Command:
        rng = self._rng
        pair = rng.choice(k.CONTEXTS)
        identifier = rng.choice((1, 1, 2, 0, 0xFFFF))
        if pair == k.CONTEXT_DEL:
            return self._ended(k.number(pair, identifier, 2))
        if pair == k.CONTEXT_GET:
            return k.command(pair, b"")
        fields = k.with_head(k.plain_rss(self._traits), identifier)
        return self._ended(k.command(pair, k.join(self._odd(fields) if rng.random() < 0.4 else fields)))

    def _unknown(self) -> Command:
        rng = self._rng
        return Command(rng.choice(_CLASSES), rng.choice((0, 1, 2, 3, 4, 9, 255)), rng.randbytes(rng.randrange(7)))

    def _odd(self, fields: k.Fields) -> k.Fields:
        """Return fields one of which was changed."""
        rng, traits = self._rng, self._traits
        name = rng.choice(fields._fields[not fields.head:-1])
        if name == "head":
            return fields._replace(head=fields.head[:2] + rng.choice((b"\x01", b"\xff")) * 6)
        if name == "types":
            bit = 1 << rng.choice((0, 1, 2, 3, 4, 5, 5, 4, 9, 31))
            return fields._replace(types=rng.choice((0, fields.types ^ bit, fields.types ^ bit, rng.getrandbits(6))))
        if name == "key":
            return fields._replace(key=rng.choice((
                other_key(rng.choice(_KEYS)), other_key(40), key_of(rng.getrandbits(8)), rng.randbytes(40),
            )))
        if name == "table" and fields.table:
            return fields._replace(table=rng.choice((
                table_of(rng.getrandbits(8)), tuple(index % traits.pairs for index in range(1 << rng.randrange(8))),
                (rng.randrange(traits.pairs),) * len(fields.table), (queue_of(rng.getrandbits(8)),) * 4,
            )))
        if name in {"unclassified", "max_tx_vq"} and fields.table:
            number = rng.choice((rng.randrange(traits.pairs + 2), rng.randrange(traits.pairs), queue_of(
                rng.getrandbits(8))))  # fmt: skip
            return k.changed(fields, name, number)
        if name == "reserved" and fields.reserved:
            at = rng.randrange(8)
            return fields._replace(reserved=bytes(at) + bytes([rng.choice((1, 2, 9, 255))]) + bytes(7 - at))
        return fields

    def _ended(self, step: Command) -> Command:
        """Now and then cut data off, or put some behind."""
        rng, data = self._rng, step.data
        draw = rng.random()
        if draw < 0.08:
            return step._replace(data=data[:rng.randrange(len(data) + 1)])
        if draw < 0.14:
            return step._replace(data=data + rng.randbytes(rng.choice((1, 2, 8, 40, 200, 4096))))
        return step

    # Ways to change a sequence

    def _inserted(self, made: list[Step], _: Steps) -> list[Step]:
        at = self._rng.randint(1, len(made)) if made else 0
        return [*made[:at], self.step(), *made[at:]]

    def _changed(self, made: list[Step], _: Steps) -> list[Step]:
        if not made:
            return made
        at = self._rng.randrange(len(made))
        made[at] = self._other(made[at])
        return made

    def _other(self, step: Step) -> Step:
        rng = self._rng
        if isinstance(step, Negotiate):
            return Negotiate((step.features ^ rng.choice(k.ALL_FEATURES)) & self._traits.offered)
        if isinstance(step, Packet):
            return self._packet()
        if not isinstance(step, Command):
            return self.step()
        fields = k.split(step)
        if fields is not None and rng.random() < 0.85:
            return self._ended(step._replace(data=k.join(self._odd(fields))))
        data = bytearray(step.data)
        if data and rng.random() < 0.7:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return step._replace(data=bytes(data))
        return self._ended(step) if rng.random() < 0.5 else self._command()

    def _dropped(self, made: list[Step], _: Steps) -> list[Step]:
        if len(made) > 1:
            at = self._rng.randrange(len(made))
            del made[at:at + self._rng.choice((1, 1, 2, 3))]
        return made

    def _repeated(self, made: list[Step], _: Steps) -> list[Step]:
        if made:
            at = self._rng.randrange(len(made))
            piece = made[at:at + self._rng.choice((1, 1, 2, 4))]
            to = self._rng.randint(at, len(made))
            made[to:to] = piece
        return made

    def _swapped(self, made: list[Step], _: Steps) -> list[Step]:
        if len(made) > 2:
            one, two = self._rng.randrange(1, len(made)), self._rng.randrange(1, len(made))
            made[one], made[two] = made[two], made[one]
        return made

    def _crossed(self, made: list[Step], other: Steps) -> list[Step]:
        rng = self._rng
        return [*made[:rng.randint(0, len(made))], *other[rng.randrange(len(other) + 1):]]

    def _renegotiated(self, made: list[Step], _: Steps) -> list[Step]:
        """Put a reset, or none, and a negotiation somewhere, and look."""
        rng = self._rng
        at = rng.randint(0, len(made))
        piece: list[Step] = [self._negotiate(), Packet(HASHED)]
        if rng.random() < 0.3:
            piece.insert(0, Reset())
        return [*made[:at], *piece, *made[at:]]

    def _shown(self, made: list[Step], _: Steps) -> list[Step]:
        """Put packets behind a step."""
        at = self._rng.randint(0, len(made))
        return [*made[:at], *(self._packet() for _ in range(self._rng.choice((1, 2, 4)))), *made[at:]]

    def _rekeyed(self, made: list[Step], _: Steps) -> list[Step]:
        """Give a configuration again with a key of another length, perhaps behind a reset, and look."""
        rng = self._rng
        told = [
            (place, step, fields) for place, step in enumerate(made) if isinstance(step, Command)
            for fields in [k.split(step)] if fields is not None
        ]
        if not told:
            return made
        at, step, fields = rng.choice(told)
        again = step._replace(data=k.join(fields._replace(key=other_key(rng.choice(_KEYS)))))
        piece: list[Step] = [again, Packet(HASHED)]
        before = [one for one in made[:at] if isinstance(one, Negotiate)]
        if before and rng.random() < 0.5:
            piece.insert(0, before[-1])
        return [*made[:at + 1], *piece, *made[at + 1:]]
