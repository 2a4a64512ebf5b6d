"""A steering program as a target, wherever it runs: configuration, queues, and the hash values behind them.

Such a program shows a queue. The 32-bit value behind it comes from linearity: with the key shifted right by 0, 7, 14,
21 and 28 bits and the table [0, 1, ..., 127], the queue is seven bits of the value at a time. A batch is run under one
key after the other, so that the maps are written five times a batch and not five times a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.spec.errors import UsageError, VnethashError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Capabilities, Errored, Implementation, Refused, Result, Skipped
from vnethash.targets.ebpf.program import TABLE_LENGTH, Engine, Roles, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.models.ebpf.program import Program
    from vnethash.spec.configuration import Configuration

_SHIFTS = (0, 7, 14, 21, 28)
_IDENTITY = tuple(range(TABLE_LENGTH))
#: The unclassified queue of recovery runs: no entry of the identity table, also as a TAP has it, modulo 256.
_UNHASHED = 0xF0

#: What a steering program shows.
SHOWS = ("queue", "value")


class SteeringTarget:
    """A steering program under test.

    Attributes: see `targets.base.Target`; `in_kernel` says where it runs, `program` and `roles` what is run.
    """

    def __init__(
        self,
        name: str,
        program: Program,
        roles: Roles,
        implementation: Implementation,
        engine: Callable[[], Engine],
        *,
        in_kernel: bool,
        queues: int = 0x10000,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Take the program as `engine` gives it, twice; raises what that raises.

        `queues` is how many receive queues can be told apart.
        """
        self.name = name
        self.implementation = implementation
        self.in_kernel = in_kernel
        self.notes = notes
        self.program = program
        self.roles = roles
        self._engines: list[Engine] = []
        self._keys: tuple[bytes, ...] = ()
        self.capabilities = Capabilities(
            observes=frozenset(SHOWS),
            features=frozenset({"RSS"}),
            max_key_size=roles.key_size,
            max_indirection_table_length=1 << (roles.table_length.bit_length() - 1),
            queues=queues,
        )
        try:
            for _ in range(2):  # one under the driver's configuration, one for the recovery of values
                self._engines.append(engine())
        except VnethashError:
            self.close()
            raise

    def configure(self, configuration: Configuration) -> None:
        """Write the maps; raises Refused for what they cannot hold or the program cannot be told, TargetDied."""
        table, limits = configuration.indirection_table, self.capabilities
        if "RSS" not in configuration.features:
            raise Refused("a steering program runs only where RSS is negotiated", skipped=True)
        if configuration.tunnel_types:
            raise Refused("a steering program cannot be told tunnel types", skipped=True)
        if len(configuration.key) > limits.max_key_size:
            raise Refused(f"a key of {len(configuration.key)} bytes: its map holds {limits.max_key_size}", skipped=True)
        if not 0 < len(table) <= limits.max_indirection_table_length or len(table) & (len(table) - 1):
            raise Refused(
                f"an indirection table of {len(table)} entries: its map is for powers of two up to "
                f"{limits.max_indirection_table_length}",
                skipped=True,
            )
        direct, recovery = self._engines
        populate = "HASH_REPORT" in configuration.features
        settings = Settings(
            configuration.hash_types, configuration.key, table, configuration.unclassified_queue, populate
        )
        direct.set(settings)
        recovery.set(settings._replace(table=_IDENTITY, unclassified_queue=_UNHASHED))
        size = self.roles.key_size
        number = int.from_bytes(configuration.key.ljust(size, b"\0"), "big")
        self._keys = tuple((number >> shift).to_bytes(size, "big") for shift in _SHIFTS)

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        """Return queue and value for each frame; value None for a frame that the program did not hash.

        A frame that the engine cannot show to the program as a device would is Skipped, a fault of the program in the
        interpreter is Errored. Raises UsageError before `configure`.
        """
        if not self._keys:
            raise UsageError(f"{self.name}: run before it was configured")
        results: list[Result] = []
        queues = self._engines[0].run(frames)
        for queue, value in zip(queues, self._values(frames), strict=True):
            if not isinstance(queue, int):
                results.append(queue)
            elif isinstance(value, Errored | Skipped):
                results.append(value)
            else:
                results.append(Observation(queue=queue & 0xFFFF, value=value))
        return results

    def _values(self, frames: Sequence[bytes]) -> list[int | Errored | Skipped | None]:
        """Recover the hash values; None where the program did not hash."""
        engine = self._engines[1]
        engine.set_key(self._keys[0])
        values: list[int | Errored | Skipped | None] = []
        hashed: list[int] = []
        for index, bits in enumerate(engine.run(frames)):
            if isinstance(bits, int) and bits < TABLE_LENGTH:
                hashed.append(index)
                values.append(bits)
            elif isinstance(bits, int):
                values.append(None if bits == _UNHASHED else _stray(bits))
            else:
                values.append(bits)
        again = [frames[index] for index in hashed]
        for shift, key in zip(_SHIFTS[1:], self._keys[1:], strict=True):
            engine.set_key(key)
            for index, bits in zip(hashed, engine.run(again), strict=True):
                value = values[index]
                if not isinstance(bits, int):
                    values[index] = bits
                elif bits >= TABLE_LENGTH and bits != _UNHASHED:
                    values[index] = _stray(bits)
                elif isinstance(value, int) and bits != _UNHASHED:
                    # a program that takes hash 0 for "not hashed" answers _UNHASHED: these seven bits are 0
                    values[index] = (value | bits << shift) & 0xFFFFFFFF
        return values

    def close(self) -> None:
        """Unload the program; may be called twice."""
        self._keys = ()
        for engine in self._engines:
            engine.close()


def _stray(answer: int) -> Errored:
    return Errored(
        f"the program answered {answer}, which is neither an entry of the table [0, ..., 127] nor the unclassified "
        f"queue {_UNHASHED}"
    )
