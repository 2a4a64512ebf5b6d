"""QEMU's virtio-net device, driven as a driver would drive it: `targets.device.Device`.

Frames arrive in a stream. Each frame on its way differs from the others, so that what comes out tells by its bytes what
it was, whatever queue it comes from; and there are never more on their way than a queue has buffers, so that the device
never waits for us. When QEMU has taken all that was put in and its main loop has gone round once more, what has not
come out by then will not come.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.constants import ACK_ERR, ACK_OK
from vnethash.spec.errors import TargetError, UsageError
from vnethash.spec.layouts import CONTROL_HEADER, NET_CONFIG
from vnethash.targets.base import Implementation, Refused
from vnethash.targets.device import Ack, Limits, Reception
from vnethash.targets.qemu.machine import SECONDS, Machine
from vnethash.targets.qemu.rings import RECEIVE_SIZE, ControlRing, Place, ReceiveRings, memory_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vnethash.targets.qemu.sockets import Backend
    from vnethash.targets.qemu.versions import Runner

#: Feature bits, by number (virtio 1.2 sections 5.1.3 and 6).
MRG_RXBUF, CTRL_VQ, MQ, HASH_REPORT, RSS, VERSION_1 = 15, 17, 22, 57, 60, 32

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET = 1, 2, 4, 8, 64

_STATUS, _NOTIFY, _CONFIG = 0x70, 0x50, 0x100
#: How often the main loop may go round without any progress before we take it that there will be none.
_ROUNDS = 8
#: Frames that there is room for before more are put in, so that one system call puts in many.
_REFILL = 128


class _Queue(NamedTuple):
    number: int
    place: Place


def _registers(queue: _Queue) -> tuple[tuple[int, int], ...]:
    """Return what the registers of a queue are given, each with its offset."""
    number, place = queue
    return (
        (0x30, number), (0x38, place.size), (0x80, place.descriptors), (0x84, 0), (0x90, place.available), (0x94, 0),
        (0xA0, place.used), (0xA4, 0), (0x44, 1),
    )  # fmt: skip


class QemuDevice:
    """The device of one QEMU; see `targets.device.Device`."""

    def __init__(
        self,
        name: str,
        runner: Runner,
        backend: Callable[[int], Backend],
        pairs: int,
        *,
        seconds: float = SECONDS,
    ) -> None:
        """Start QEMU with a fresh backend of `pairs` queue pairs; raises TargetUnavailable, TargetDied.

        `seconds` is the limit for one answer.
        """
        self._seconds = seconds
        self.name = name
        self.implementation = Implementation("QEMU", runner.version, "C", "https://www.qemu.org")
        self.pairs = pairs
        self._runner = runner
        self._make_backend = backend
        self._machine: Machine | None = None
        self._backend: Backend | None = None
        self._rings: ReceiveRings | None = None
        self._working = False
        self.features = 0
        self.header_size = 12
        self.offered = 0
        self.restart()
        assert self._backend is not None
        self.notes: tuple[str, ...] = (f"{pairs} queue pairs; {self._backend.what}",)
        self.takes_header = self._backend.takes_header

    def restart(self) -> None:
        """End QEMU if it runs, and start it anew, with a fresh backend."""
        self.close()
        self._backend = backend = self._make_backend(self.pairs)
        try:
            fds = ":".join(str(fd) for fd in backend.queues)
            netdev = f"tap,id=n0,vhost=off,{'fds' if self.pairs > 1 else 'fd'}={fds}"
            device = f"virtio-net-device,netdev=n0,rx_queue_size={RECEIVE_SIZE},ctrl_vq=on,mq=on,rss=on,hash=on"
            self._machine = Machine(
                self.name,
                self._runner,
                ("-netdev", netdev, "-device", device),
                memory_size=memory_size(self.pairs),
                files=backend.files,
                environment=backend.environment,
                seconds=self._seconds,
            )
            self._rings = ReceiveRings(self._machine.memory, self.pairs)
            self._control = ControlRing(self._machine.memory, self._rings.end)
            self.offered = self._read_features()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End QEMU; may be called twice."""
        self._working = False
        if self._rings:
            self._rings.close()
        if self._machine:
            self._machine.close()
        if self._backend:
            self._backend.close()
        self._rings = self._machine = self._backend = None

    @property
    def pid(self) -> int:
        """Process id of QEMU."""
        return self._qemu().pid

    def _qemu(self) -> Machine:
        if self._machine is None:
            raise UsageError(f"{self.name}: is closed")
        return self._machine

    def _read_features(self) -> int:
        machine = self._qemu()
        machine.write((0x14, 0))
        low = machine.read(0x10)
        machine.write((0x14, 1))
        return low | machine.read(0x10) << 32

    def status(self) -> int:
        """Read the device status; bit 0x40 is DEVICE_NEEDS_RESET."""
        return self._qemu().read(_STATUS)

    def reset(self) -> None:
        """Write 0 to the device status and wait until it reads 0."""
        machine = self._qemu()
        self._working = False
        status = machine.write((_STATUS, 0), then=_STATUS)
        for _ in range(1000):
            if not status:
                break
            status = machine.read(_STATUS)
        else:
            raise TargetError(f"{self.name}: the device status does not become 0 after a reset")
        assert self._backend is not None
        self._backend.drain()
        machine.listen()

    def negotiate(self, features: int) -> bool:
        """Go from reset to FEATURES_OK with these bits, then set up all queues and DRIVER_OK; False if refused.

        Receive queues, transmit queues and the control queue are those that the features give the device. Where the
        device refuses, it is left reset.
        """
        self.reset()
        machine, rings = self._qemu(), self._rings
        assert rings is not None
        status = machine.write(
            (_STATUS, ACKNOWLEDGE), (_STATUS, ACKNOWLEDGE | DRIVER),
            (0x24, 0), (0x20, features & 0xFFFFFFFF), (0x24, 1), (0x20, features >> 32),
            (_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK), then=_STATUS,
        )  # fmt: skip
        if not status & FEATURES_OK:
            self.reset()
            return False
        self.features = features
        mergeable = bool(features >> MRG_RXBUF & 1)
        if features >> VERSION_1 & 1:
            self.header_size = 20 if features >> HASH_REPORT & 1 else 12
        else:
            self.header_size = 12 if mergeable else 10
        rings.reset(self.header_size, mergeable=mergeable)
        self._control.reset()
        pairs = self.pairs if features & (1 << MQ | 1 << RSS) else 1
        self._control_index = 2 * pairs
        queues = [_Queue(2 * number, rings.place(number)) for number in range(pairs)]
        if features >> CTRL_VQ & 1:
            queues.append(_Queue(self._control_index, self._control.place()))
        ready = (_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)
        machine.write(*(value for queue in queues for value in _registers(queue)), ready)
        self._working = True
        machine.sync()
        rings.collect()  # what was held back while there were no buffers
        return True

    def limits(self) -> Limits:
        """Read the configuration space; 0 for fields whose feature is not offered (CFG-1 to CFG-8)."""
        data = self._qemu().read_bytes(_CONFIG, NET_CONFIG.size - 4)
        fields = dict(zip((name for name, _ in NET_CONFIG.fields), NET_CONFIG.unpack(data + bytes(4)), strict=True))
        rss, hashing = self.offered >> RSS & 1, self.offered & (1 << RSS | 1 << HASH_REPORT)

        def field(name: str, there: int) -> int:
            value = fields[name]
            return value if there and isinstance(value, int) else 0

        return Limits(
            pairs=field("max_virtqueue_pairs", self.offered & (1 << MQ | 1 << RSS)),
            key=field("rss_max_key_size", hashing),
            table=field("rss_max_indirection_table_length", rss),
            hash_types=field("supported_hash_types", hashing),
        )

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        """Send one control command; `data` as it is, whatever its length.

        NONE if the device gave the buffer back without an answer, did not give it back, or has no control queue.
        """
        answer = self.chain([CONTROL_HEADER.pack((class_, command)) + data], [1])
        return {bytes([ACK_OK]): Ack.OK, bytes([ACK_ERR]): Ack.ERR}.get(answer or b"", Ack.NONE)

    def chain(self, readable: Sequence[bytes], writable: Sequence[int]) -> bytes | None:
        """Put one chain of descriptors into the control queue, as it is; return what the device wrote.

        `readable` are the parts that the device reads, `writable` the lengths of those that it may write. None if the
        chain did not come back.
        """
        if not self._working or not self.features >> CTRL_VQ & 1:
            return None
        machine = self._qemu()
        rounds = 0

        def wait() -> bool:
            nonlocal rounds
            if not rounds:
                machine.write((_NOTIFY, self._control_index))
            elif machine.sync() & NEEDS_RESET:
                return False
            rounds += 1
            return rounds <= _ROUNDS

        answer = self._control.submit(readable, writable, wait)
        machine.listen()
        return answer

    def receive(self, frames: Sequence[bytes], header: bytes = b"") -> list[Reception | None]:
        """Let the frames arrive, in order; None for one that reached no queue.

        `header` is what the backend puts before each frame (zeros if left out; shorter is filled up with zeros);
        raises Refused for one that the backend cannot put there, and for a frame that it cannot carry.
        """
        backend, rings = self._backend, self._rings
        machine = self._qemu()
        assert backend is not None
        assert rings is not None
        if any(header) and not backend.takes_header:
            raise Refused("a TAP of the kernel writes the header itself", skipped=True)
        if len(header) > self.header_size:
            raise Refused(f"the header has {self.header_size} bytes, {len(header)} were given", skipped=True)
        if reason := self.limit(frames):
            raise Refused(reason, skipped=True)
        results: list[Reception | None] = [None] * len(frames)
        if not self._working:
            return results
        before = header.ljust(self.header_size, b"\0")
        for index in self._stream(frames, before, results):
            results[index] = self._alone(frames[index], before)
        machine.listen()
        return results

    def limit(self, frames: Sequence[bytes]) -> str:
        """Return why one of the frames cannot be put in, "" if all can."""
        assert self._backend is not None
        shortest, longest = self._backend.shortest, self._backend.longest
        least, most = min(map(len, frames), default=shortest), max(map(len, frames), default=shortest)
        if least < shortest:
            return f"a TAP takes frames from {shortest} bytes on, this one has {least}"
        return f"QEMU takes frames of up to {longest} bytes, this one has {most}" if most > longest else ""

    def _stream(self, frames: Sequence[bytes], header: bytes, results: list[Reception | None]) -> list[int]:
        """Put frames in and set `results`; return what should be tried one by one.

        Those are the frames that did not come out if something else did: a device may have changed them. While QEMU
        works on some frames, those before are read and those behind are put in.
        """
        machine, backend, rings = self._qemu(), self._backend, self._rings
        assert backend is not None
        assert rings is not None
        rings.collect()  # strays
        total, put = len(frames), 0
        under_way: dict[bytes, int] = {}
        again: list[int] = []
        strays = stuck = 0
        was = -1
        while put < total or under_way:
            room = rings.room(under_way)
            if put < total and (room >= _REFILL or not under_way):
                end = _end(frames, put, room, under_way, rings)
                sent = put + backend.send(frames[put:end], header)
                under_way.update(zip(frames[put:sent], range(put, sent), strict=True))
                put = sent
            arrived = rings.collect()
            if not arrived:
                pending = backend.pending()
                status = machine.sync()
                arrived = rings.collect()
                stuck = 0 if arrived or pending != was else stuck + 1
                was = pending
                if not arrived and (not pending or stuck > _ROUNDS or status & NEEDS_RESET):
                    # What is not here by now will not come.
                    if pending:
                        backend.drain()
                    if not under_way and stuck > _ROUNDS:
                        break
                    if strays:
                        again += under_way.values()
                    under_way.clear()
                    strays = 0
            for reception in arrived:
                index = under_way.pop(reception.payload, -1)
                if index >= 0:
                    results[index] = reception
                else:
                    strays += 1
        return again

    def _alone(self, frame: bytes, header: bytes) -> Reception | None:
        """Put one frame in; take for it also what begins with it, or what it begins with."""
        machine, backend, rings = self._qemu(), self._backend, self._rings
        assert backend is not None
        assert rings is not None
        rings.collect()  # strays
        found: list[Reception] = []
        sent = backend.send([frame], header)
        stuck, was = 0, -1
        while True:
            pending = backend.pending()
            status = machine.sync()
            arrived = rings.collect()
            found += arrived
            if not sent:
                sent = backend.send([frame], header)
            elif not pending:
                break
            stuck = 0 if arrived or pending != was else stuck + 1
            was = pending
            if stuck > _ROUNDS or status & NEEDS_RESET:
                backend.drain()
                break
        like = [each for each in found if each.payload.startswith(frame) or frame.startswith(each.payload)]
        return next((each for each in like if each.payload == frame), like[-1] if like else None)


def _end(
    frames: Sequence[bytes], first: int, room: int, under_way: Mapping[bytes, int], rings: ReceiveRings
) -> int:
    """Return the end of the longest run of frames from the first on that may be put in beside those under way."""
    chunk = frames[first : first + max(room, 1)]
    if not rings.mergeable:
        longs = (index for index, frame in enumerate(chunk) if len(frame) > rings.short)
        most = 0 if max(map(len, under_way), default=0) > rings.short else 1
        chunk = chunk[: next(islice(longs, most, None), None)]
    easy = not rings.mergeable or max(map(len, chunk)) <= rings.short
    if easy and len(set(chunk)) == len(chunk) and under_way.keys().isdisjoint(chunk):
        return first + len(chunk)
    seen: set[bytes] = set()
    long = sum(map(rings.is_long, under_way))
    for index, frame in enumerate(chunk, first):
        room -= rings.cost(frame)
        long += rings.is_long(frame)
        if frame in seen or frame in under_way or ((index > first or under_way) and (room < 0 or long > 1)):
            return index
        seen.add(frame)
    return first + len(chunk)
