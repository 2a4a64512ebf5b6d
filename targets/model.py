"""The target `model:DIALECT`: our own model behind the interface of all targets, as a check of everything else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from vnethash.models.allowed import dialect
from vnethash.models.reference import ANY_VALUE, outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import ALL_TUNNEL_TYPES
from vnethash.spec.device_readings import DeviceReadings
from vnethash.spec.errors import TargetUnavailable, UsageError, VnethashError
from vnethash.spec.outcome import Observation
from vnethash.spec.questions import all_questions, load_dialects
from vnethash.targets.base import Capabilities, Implementation, Refused, TargetInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.spec.readings import Readings
    from vnethash.targets.base import Result
    from vnethash.targets.device_model import ModelDevice


#: All compilations that were begun.
_begun: list[_Twin] = []


def compiling() -> bool:
    """Say whether a twin is being compiled: a process that ends by exit() meanwhile may be aborted by LLVM."""
    return any(twin.alive() for twin in _begun)


class _Twin:
    """The compilation of the model, in a thread beside the answers that the model itself gives meanwhile."""

    def __init__(self, configuration: Configuration, readings: Readings) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._compile, args=(configuration, readings), daemon=True)
        self._thread.start()

    def _compile(self, configuration: Configuration, readings: Readings) -> None:
        try:
            from vnethash.models.compiled import Compiled  # noqa: PLC0415

            Compiled(configuration, readings).run_packed(b"", [0])
        except Exception as error:  # it is told in the thread that asks
            self._error = error

    def alive(self) -> bool:
        """Say whether it still compiles."""
        return self._thread.is_alive()

    def ready(self) -> bool:
        """Say whether it is compiled; raises what went wrong."""
        if self._thread.is_alive():
            return False
        if self._error is not None:
            raise self._error
        return True


class ModelTarget:
    """The reference model under one set of readings."""

    def __init__(self, name: str, readings: Readings, implementation: Implementation) -> None:
        self.name = name
        self.readings = readings
        self.implementation = implementation
        self.capabilities = Capabilities(
            observes=frozenset({"queue", "report", "value"}),
            features=frozenset({"RSS", "HASH_REPORT", "HASH_TUNNEL"}),
            tunnel_types=ALL_TUNNEL_TYPES,
            max_key_size=255,
            max_indirection_table_length=0x8000,
            queues=0x8000,
        )
        self.notes: tuple[str, ...] = ()
        self._configuration = Configuration()
        self._compiled: Any = None
        self._twin: _Twin | None = None

    def configure(self, configuration: Configuration) -> None:
        """Take a configuration; the model refuses none that it can represent."""
        if not configuration.features & {"RSS", "HASH_REPORT"}:
            raise Refused("neither RSS nor HASH_REPORT is negotiated")
        self._configuration = configuration
        self._compiled = None

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        """Return the outcomes."""
        results: list[Result] = []
        for frame in frames:
            report, value, queue = outcome(frame, self._configuration, self.readings)
            results.append(
                Observation(report, 0 if value == ANY_VALUE else value, None if queue < 0 else queue)
            )
        return results

    def run_packed(self, data: bytes, offsets: Sequence[int]) -> tuple[Any, Any, Any] | None:
        """Return the outcomes of frames laid end to end as arrays of report, value and queue, by the compiled twin.

        The queue is None where no steering was configured. `offsets` holds one number more than there are frames. While
        the twin is still being compiled, which takes seconds once on a machine, None leaves the frames to `run`.
        Raises VnethashError where numba is missing.
        """
        if self._twin is None:
            self._twin = _Twin(self._configuration, self.readings)
            _begun.append(self._twin)
        if not self._twin.ready():
            return None
        if self._compiled is None:
            from vnethash.models.compiled import Compiled  # noqa: PLC0415 - numba takes a second to import

            self._compiled = Compiled(self._configuration, self.readings)
        report, value, queue = self._compiled.run_packed(data, offsets)
        return report, value, queue if "RSS" in self._configuration.features else None

    def close(self) -> None:
        """Nothing was started."""


def open_model(argument: str) -> ModelTarget:
    """Open `model:DIALECT`, or `model:DIALECT,question=reading,...` for a dialect with some readings changed.

    Raises TargetUnavailable for a dialect that is none, UsageError for a question or reading that is none.
    """
    packets, _ = _readings(argument)
    return ModelTarget(f"model:{argument}", packets, _implementation())


def open_model_device(argument: str) -> ModelDevice:
    """Open the state machine under the readings of `model:ARGUMENT`; raises what `open_model` does."""
    from vnethash.targets.device_model import ModelDevice  # noqa: PLC0415 - only the control suite needs it

    packets, device = _readings(argument)
    return ModelDevice(f"model:{argument}", device, packets, _implementation())


def _readings(argument: str) -> tuple[Readings, DeviceReadings]:
    name, *changes = argument.split(",")
    if name not in load_dialects():
        names = ", ".join(load_dialects())
        raise TargetUnavailable(f"model:{argument}: no dialect {name!r}", hint=f"there are {names}")
    packets, device = dialect(name), DeviceReadings()
    for change in changes:
        identifier, _, reading = change.partition("=")
        question = all_questions().get(identifier)
        if question is None:
            raise UsageError(f"model:{argument}: no question {identifier!r}", hint="`vnethash spec list` has them all")
        if question.field in DeviceReadings._fields:
            device = device._replace(**{question.field: question.index(reading)})
        else:
            packets = packets._replace(**{question.field: question.index(reading)})
    return packets, device


def _implementation() -> Implementation:
    return Implementation("vnethash reference model", _version(), "Python", "")


def probe() -> list[TargetInfo]:
    """Return the lines for `vnethash targets`."""
    return [
        TargetInfo(f"model:{name}", "the reference model", available=True, shows=("queue", "report", "value"))
        for name in load_dialects()
    ]


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("vnethash")
    except PackageNotFoundError as error:
        raise VnethashError("vnethash is not installed", hint="run `make setup`") from error
