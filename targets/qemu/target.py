"""The target `qemu[:BINARY]`: the virtio-net device of an unmodified QEMU, with the frames of the packet suite.

Options follow the binary, after commas: `sockets` and `tap` choose where the frames come from, `queues=N` how many
queue pairs the device gets. Without one, frames come through sockets where there is a C compiler: that works for
everyone, keeps the order of the frames, and takes frames of any length. A TAP of the kernel needs root; it is for
whoever wants nothing between QEMU and the kernel that we wrote.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from vnethash.spec.commands import HashConfig, RssConfig
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import TargetDied, TargetTimeout, TargetUnavailable, UsageError, VnethashError
from vnethash.spec.layouts import NET_HEADER
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Capabilities, Errored, Refused, Result, Skipped, TargetInfo
from vnethash.targets.device import Ack
from vnethash.targets.exec.isolation import isolate
from vnethash.targets.qemu import shim, tap
from vnethash.targets.qemu.device import CTRL_VQ, HASH_REPORT, MQ, RSS, VERSION_1, QemuDevice
from vnethash.targets.qemu.machine import SECONDS
from vnethash.targets.qemu.sockets import Sockets
from vnethash.targets.qemu.tap import Taps
from vnethash.targets.qemu.versions import fetched, find_binary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.targets.device import Reception
    from vnethash.targets.qemu.sockets import Backend

#: Queue pairs: one more than the highest queue number in the suite, so that no queue number has to be folded.
PAIRS = 201
#: The most that QEMU has (VIRTIO_QUEUE_MAX), and a TAP.
MOST_PAIRS, MOST_TAP_PAIRS = 511, 256

_SHOWS = ("queue", "report", "value")
_BITS = {"RSS": RSS, "HASH_REPORT": HASH_REPORT}
#: hash_value and hash_report in virtio_net_hdr (HDR-1).
_HASH, _HASH_AT = struct.Struct("<IH"), NET_HEADER.offsets["hash_value"]
#: The same of many headers, end to end.
_HASHES = struct.Struct(f"<{_HASH_AT}xIH{NET_HEADER.size - _HASH_AT - _HASH.size}x")
_LOST = Errored("the device delivered the frame to no queue")
_MOST_FAILURES = 32
_BACKENDS: dict[str, Callable[[int], Backend]] = {"sockets": Sockets, "tap": Taps}


class QemuTarget:
    """QEMU's device as a target of packets.

    Attributes: see `targets.base.Target`; `device` is what it drives.
    """

    def __init__(self, name: str, device: QemuDevice, *, seconds: float = SECONDS) -> None:
        """Take over a device that was started."""
        self.name = name
        self.device = device
        self.implementation = device.implementation
        self._seconds = seconds
        limits = device.limits()
        features = frozenset(feature for feature, bit in _BITS.items() if device.offered >> bit & 1)
        # Bits of a value that one run shows without HASH_REPORT: a queue of its own for each, and one besides.
        self._step = min((device.pairs - 1).bit_length(), limits.table.bit_length()) - 1
        self.capabilities = Capabilities(
            observes=frozenset(_SHOWS),
            features=features,
            hash_types=limits.hash_types,
            max_key_size=limits.key,
            max_indirection_table_length=limits.table,
            queues=device.pairs,
        )
        self.notes = (
            *device.notes,
            f"max_tx_vq 1 is sent as {device.pairs}: QEMU limits its receive queues to max_tx_vq, too (RSS-9)",
            "a key that is too short is sent after one of zeros: QEMU keeps the rest of the key before (RSS-10)",
            "without HASH_REPORT values are recovered from queues, with shifted keys",
        )
        self._configuration: Configuration | None = None
        self._bits = 0

    def configure(self, configuration: Configuration) -> None:
        """Reset the device, negotiate the configuration's features and send its command.

        Raises Refused for features that the device does not offer or does not take, and for a command that it answers
        with an error; TargetDied, TargetTimeout.
        """
        self._configuration = None
        missing = sorted(configuration.features - self.capabilities.features)
        if missing:
            raise Refused(f"the device does not offer {', '.join(missing)}", skipped=True)
        if not configuration.features & _BITS.keys():
            raise Refused("neither RSS nor HASH_REPORT is negotiated", skipped=True)
        if configuration.tunnel_types:
            raise Refused("the device does not offer HASH_TUNNEL", skipped=True)
        if "HASH_REPORT" not in configuration.features and self._step < 1:
            raise Refused("without HASH_REPORT values are seen by the queue, and there are too few", skipped=True)
        self._alive()
        self._apply(configuration)
        self._configuration = configuration

    def _alive(self) -> None:
        """Start QEMU anew if it has ended since."""
        try:
            self.device.status()
        except (TargetDied, TargetTimeout, UsageError):
            self.device.restart()

    def _apply(self, configuration: Configuration) -> None:
        bits = 1 << VERSION_1 | 1 << CTRL_VQ | 1 << MQ
        for feature in configuration.features:
            bits |= 1 << _BITS[feature]
        if not self.device.negotiate(bits & self.device.offered):
            names = ", ".join(sorted(configuration.features))
            raise Refused(f"the device refuses the features {names}")
        if len(configuration.key) < self.capabilities.max_key_size:
            self._tell(replace(configuration, key=bytes(self.capabilities.max_key_size)))
        self._tell(configuration)

    def _tell(self, configuration: Configuration) -> None:
        """Send RSS_CONFIG, or HASH_CONFIG where RSS is not negotiated; raises Refused."""
        told: RssConfig | HashConfig
        if "RSS" in configuration.features:
            sent = configuration
            if configuration.max_tx_vq == 1:
                sent = replace(configuration, max_tx_vq=self.device.pairs)
            told = RssConfig.from_configuration(sent)
        else:
            told = HashConfig.from_configuration(configuration)
        answer = self.device.command(told.HEADER.command_class, told.HEADER.command, told.encode())
        if answer is not Ack.OK:
            name = "RSS_CONFIG" if "RSS" in configuration.features else "HASH_CONFIG"
            raise Refused(f"{name} is answered with {'an error' if answer is Ack.ERR else 'nothing'}")

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        """Return queue, report and value for each frame.

        A frame that reaches no queue is Errored; so is one of which QEMU dies, and it is TimedOut if it hangs: QEMU is
        started anew for the others. A frame that the backend cannot carry is Skipped. Raises UsageError before
        `configure`.
        """
        if self._configuration is None:
            raise UsageError(f"{self.name}: run before it was configured")
        if not self.device.limit(frames):
            return self._isolated(frames)
        limits = [self.device.limit([frame]) for frame in frames]
        answers = iter(self._isolated([frame for frame, why in zip(frames, limits, strict=True) if not why]))
        return [Skipped(why) if why else next(answers) for why in limits]

    def _isolated(self, frames: Sequence[bytes]) -> list[Result]:
        try:
            return self._ask(frames)
        except (TargetDied, TargetTimeout) as failure:
            found = isolate(
                frames, failure, ask=self._ask, restart=self._restart, most=_MOST_FAILURES, seconds=self._seconds
            )
            self._restart()
            return found.results

    def _restart(self) -> None:
        """Start QEMU anew, with the configuration of now; what happened to the one before does not matter."""
        assert self._configuration is not None
        self.device.restart()
        self._apply(self._configuration)

    def _ask(self, frames: Sequence[bytes]) -> list[Result]:
        configuration = self._configuration
        assert configuration is not None
        steers = "RSS" in configuration.features
        received = self.device.receive(frames)
        if "HASH_REPORT" in configuration.features:
            return _observations(received, steers)
        results: list[Result] = []
        for reception, value in zip(received, self._values(frames, configuration), strict=True):
            if reception is None or isinstance(value, Errored):
                results.append(value if isinstance(value, Errored) else _LOST)
            else:
                results.append(Observation(value=value, queue=reception.queue))
        self._tell(configuration)
        return results

    def _values(self, frames: Sequence[bytes], configuration: Configuration) -> list[int | Errored | None]:
        """Recover the values where no header shows them; None for a frame that was not hashed.

        With a table [0, 1, ...] of 2**n entries the queue is the last n bits of the value, and those before them with
        the key shifted right by n: hashing is linear.
        """
        size = self.capabilities.max_key_size
        number = int.from_bytes(configuration.key.ljust(size, b"\0"), "big")
        table = tuple(range(1 << self._step))
        values: list[int | Errored | None] = [0] * len(frames)
        for shift in range(0, 32, self._step):
            recovery = Configuration(
                hash_types=configuration.hash_types,
                key=(number >> shift).to_bytes(size, "big"),
                indirection_table=table,
                unclassified_queue=len(table),
                features=configuration.features,
            )
            self._tell(recovery)
            for index, reception in enumerate(self.device.receive(frames)):
                value = values[index]
                if not isinstance(value, int):
                    continue
                if reception is None:
                    values[index] = _LOST
                elif reception.queue < len(table):
                    values[index] = (value | reception.queue << shift) & 0xFFFFFFFF
                elif not shift:
                    values[index] = None
        return values

    def close(self) -> None:
        """End QEMU; may be called twice."""
        self._configuration = None
        self.device.close()


def _observations(received: Sequence[Reception | None], steers: bool) -> list[Result]:
    make = tuple.__new__  # a third of the time that Observation(...) takes
    headers = b"".join([reception.header for reception in received if reception is not None])
    if len(headers) == NET_HEADER.size * len(received) > 0:
        return [
            make(Observation, (report, value if report or value else None, reception.queue if steers else None))
            for (value, report), reception in zip(_HASHES.iter_unpack(headers), received, strict=True)
            if reception is not None  # none is, or there were fewer headers
        ]
    results: list[Result] = []
    for reception in received:
        if reception is None:
            results.append(_LOST)
            continue
        if len(reception.header) < _HASH_AT + _HASH.size:
            results.append(Errored(f"the device wrote a header of {len(reception.header)} bytes"))
            continue
        value, report = _HASH.unpack_from(reception.header, _HASH_AT)
        queue = reception.queue if steers else None
        results.append(Observation(report, value if report or value else None, queue))
    return results


def split(argument: str) -> tuple[str, str, int]:
    """Split `BINARY,option,...` into binary, backend ("" if none is asked for) and queue pairs; raises UsageError."""
    binary, *options = argument.split(",")
    backend, pairs = "", PAIRS
    for option in options:
        name, _, number = option.partition("=")
        if option in _BACKENDS:
            if backend not in {"", option}:
                raise UsageError(f"qemu:{argument}: `sockets` and `tap` contradict each other")
            backend = option
        elif name == "queues" and number.isascii() and number.isdigit() and 1 <= int(number) <= MOST_PAIRS:
            pairs = int(number)
        elif name == "queues":
            raise UsageError(f"qemu:{argument}: queues={number}: expected a whole number from 1 to {MOST_PAIRS}")
        else:
            raise UsageError(f"qemu:{argument}: no option {option!r}", hint="there are sockets, tap, queues=N")
    if backend == "tap" and pairs > MOST_TAP_PAIRS:
        raise UsageError(f"qemu:{argument}: a TAP has at most {MOST_TAP_PAIRS} queues")
    return binary, backend, pairs


def open_device(argument: str = "", *, seconds: float = SECONDS) -> QemuDevice:
    """Start the QEMU of `qemu:ARGUMENT` and return its device.

    Raises UsageError, TargetUnavailable where QEMU or what the backend needs is not here, TargetDied.
    """
    if not sys.platform.startswith("linux"):
        raise TargetUnavailable("QEMU's device is driven on Linux only")
    binary, backend, pairs = split(argument)
    runner = find_binary(binary)
    chosen = backend or _default()
    name = f"qemu:{argument}" if argument else "qemu"
    return QemuDevice(name, runner, _BACKENDS[chosen], pairs, seconds=seconds)


def open_qemu(argument: str = "", *, seconds: float = SECONDS) -> QemuTarget:
    """Open `qemu[:ARGUMENT]`, where the argument is `[BINARY][,option...]`; raises what `open_device` does."""
    device = open_device(argument, seconds=seconds)
    try:
        return QemuTarget(device.name, device, seconds=seconds)
    except VnethashError:
        device.close()
        raise


def _default() -> str:
    reason = shim.missing()
    if not reason:
        return "sockets"
    if why := tap.missing():
        raise TargetUnavailable(f"{reason}; and {why}", hint="install gcc or clang, or be root")
    return "tap"


def probe() -> list[TargetInfo]:
    """Return the line of `vnethash targets`; QEMU is asked for its version, and not started."""
    what = "QEMU's virtio-net device"
    try:
        if not sys.platform.startswith("linux"):
            raise TargetUnavailable("QEMU's device is driven on Linux only")
        runner = find_binary()
        backend = _default()
    except VnethashError as error:
        return [TargetInfo("qemu", what, False, error.line(), _SHOWS)]
    where = "through sockets" if backend == "sockets" else "through a TAP"
    what = f"the virtio-net device of QEMU {runner.version}, frames {where}"
    if others := ", ".join(f"qemu:{one.version}" for one in fetched() if one.version != runner.version):
        what += f"; also {others}"
    return [TargetInfo("qemu", what, True, shows=_SHOWS, judged=True)]
