"""One running QEMU: a microvm whose processor halts at once, its memory mapped by us, its registers reached by qtest.

No guest code runs but five bytes of a ROM that stop the processor. Memory and ROM are memfds and the qtest protocol
goes through the standard streams, so that no file is left behind, however we end. The device is in the hands of
whoever pokes its registers: us, in the place of a guest's driver.

Sources: QEMU docs/system/i386/microvm.rst, docs/devel/testing/qtest.rst (the text protocol), virtio 1.2 section 4.2.2
(the registers of virtio-mmio).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import time
import weakref
from typing import TYPE_CHECKING

from vnethash.spec.errors import TargetDied, TargetTimeout
from vnethash.targets.children import end_group, how_ended, spawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.targets.qemu.versions import Runner

#: Seconds for one answer; a QEMU that works needs less than a millisecond.
SECONDS = 20.0

_MMIO, _SLOT, _SLOTS = 0xFEB00000, 512, 32
_MAGIC, _NET = 0x74726976, 1
_STATUS = 0x70
#: cli; hlt; jmp back, at the processor's first instruction; hlt wherever else it might come.
_ROM = (b"\xf4" * 0xFFF0 + b"\xfa\xf4\xeb\xfd").ljust(0x10000, b"\xf4")
#: Lines in one write: what they answer must fit into the pipe, or both would wait for each other.
_LINES = 1024
_WORDS_KEPT = 64 << 10


class Machine:
    """A started QEMU with one virtio-net device.

    Attributes:
        memory: the guest's memory, from physical address 0.
        base: physical address of the device's registers.

    Every method raises TargetDied when QEMU ended, with its last words, and TargetTimeout when it gives no answer; it
    is of no use any more then.
    """

    def __init__(
        self,
        name: str,
        runner: Runner,
        arguments: Sequence[str],
        *,
        memory_size: int,
        files: Sequence[int] = (),
        environment: dict[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """Start it; `arguments` are those of netdev and device, `files` what of ours it inherits."""
        self.name = name
        self._seconds = seconds
        self._begun = False
        ram, rom = _memfd("ram", memory_size), _memfd("rom", len(_ROM))
        try:
            os.pwrite(rom, _ROM, 0)
            self.memory = mmap.mmap(ram, memory_size)
            machine = (
                *runner.command, *runner.arguments, "-M", "microvm,memory-backend=ram",
                "-m", f"{memory_size >> 20}M", "-object",
                f"memory-backend-file,id=ram,mem-path=/proc/self/fd/{ram},size={memory_size >> 20}M,share=on",
                "-accel", "tcg", "-bios", f"/proc/self/fd/{rom}", "-qtest", "stdio", "-qtest-log", "/dev/null",
                "-global", "virtio-mmio.force-legacy=false", "-display", "none", "-nodefaults", "-no-user-config",
                "-no-reboot", *arguments,
            )  # fmt: skip
            variables = {**os.environ, **runner.environment, **(environment or {})}
            self._popen = spawn(machine, pass_fds=(ram, rom, *files), environment=variables)
        except OSError as error:
            why = error.strerror or str(error)
            raise TargetDied(f"{name}: would not start: {runner.command[0]}: {why}") from None
        finally:
            os.close(ram)
            os.close(rom)
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        self._in, self._out = self._popen.stdin.fileno(), self._popen.stdout.fileno()
        self._err = self._popen.stderr
        os.set_blocking(self._err.fileno(), False)
        self._words = bytearray()
        self._rest = b""
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self._finalizer = weakref.finalize(self, end_group, self._popen)
        try:
            self.base = self._find()
        except BaseException:
            self.close()
            raise
        self._begun = True
        self._sync = b"readl %#x\n" % (self.base + _STATUS)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def _find(self) -> int:
        slots = [_MMIO + _SLOT * index for index in range(_SLOTS)]
        lines = [f"readl {slot + offset:#x}" for slot in slots for offset in (0, 8)]
        answers = [int(answer, 16) for answer in self.script(lines)]
        for slot, magic, kind in zip(slots, answers[::2], answers[1::2], strict=True):
            if magic == _MAGIC and kind == _NET:
                return slot
        raise TargetDied(f"{self.name}: QEMU runs, but its microvm has no virtio-net device{self._stderr_clause()}")

    def script(self, lines: Sequence[str]) -> list[str]:
        """Return the answers to lines of the qtest protocol, without their "OK"."""
        answers: list[str] = []
        for first in range(0, len(lines), _LINES):
            chunk = lines[first : first + _LINES]
            self._write("".join(f"{line}\n" for line in chunk).encode())
            answers += self._read(len(chunk))
        return answers

    def read(self, register: int) -> int:
        """Read a register of 32 bits, at this offset from the device's base."""
        return int(self.script([f"readl {self.base + register:#x}"])[0], 16)

    def write(self, *values: tuple[int, int], then: int | None = None) -> int:
        """Write registers, (offset, value) each, in this order; `then` read one, and return what it says (else 0)."""
        base = self.base
        lines = [f"writel {base + register:#x} {value:#x}" for register, value in values]
        if then is None:
            self.script(lines)
            return 0
        return int(self.script([*lines, f"readl {base + then:#x}"])[-1], 16)

    def read_bytes(self, register: int, count: int) -> bytes:
        """Read from the configuration space, byte by byte, as its fields of any size may be read."""
        answers = self.script([f"read {self.base + register + index:#x} 1" for index in range(count)])
        return bytes(int(answer, 16) for answer in answers)

    def sync(self) -> int:
        """Let QEMU's main loop go round once, which takes in what has arrived; return the device status."""
        self._write(self._sync)
        return int(self._read(1)[0], 16)

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._in, data) :]
        except BrokenPipeError:
            raise self._died() from None

    def _read(self, count: int) -> list[str]:
        """Read `count` answers."""
        answers: list[str] = []
        deadline = 0.0
        while True:
            *lines, rest = self._rest.split(b"\n")
            self._rest = rest
            for line in lines:
                if line.startswith(b"OK"):
                    answers.append(line[3:].decode())
                elif not line.startswith(b"IRQ "):
                    raise self._died(f"answered {line.decode(errors='replace')!r} to a qtest command")
            if len(answers) >= count:
                return answers
            now = time.monotonic()
            deadline = deadline or now + self._seconds
            if not self._poll.poll(max(0.0, deadline - now) * 1000):
                raise self._late()
            data = os.read(self._out, 1 << 16)
            if not data:
                raise self._died()
            self._rest += data

    def _hear(self) -> None:
        """Take what stands on its stderr, so that it never has to wait for us."""
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(self._err.fileno(), 1 << 16):
                self._words += data
                del self._words[:-_WORDS_KEPT]

    def _died(self, how: str = "") -> TargetDied:
        end = time.monotonic() + 2.0
        while not how and not (ended := how_ended(self.pid)) and time.monotonic() < end:
            time.sleep(0.002)
        how = how or ended or "closed its qtest channel and went on running"
        when = "" if self._begun else " at its start"
        return TargetDied(f"{self.name}: QEMU {how}{when}{self._stderr_clause()}")

    def _late(self) -> TargetTimeout:
        return TargetTimeout(f"{self.name}: QEMU gave no answer within {self._seconds:g} s{self._stderr_clause()}")

    def last_words(self) -> str:
        """Return the last lines of its stderr as one line, "" if it said nothing."""
        self._hear()
        lines = [line.strip() for line in self._words.decode("utf-8", "replace").splitlines() if line.strip()]
        text = " | ".join(lines[-3:])
        return text if len(text) <= 300 else f"…{text[-300:]}"

    def _stderr_clause(self) -> str:
        words = self.last_words()
        return f"; stderr: {words}" if words else ""

    def listen(self) -> None:
        """Keep its stderr from filling up; to be called now and then."""
        self._hear()

    def close(self) -> None:
        """End it; may be called twice."""
        self._finalizer()
        with contextlib.suppress(BufferError):
            self.memory.close()


def _memfd(name: str, size: int) -> int:
    descriptor = os.memfd_create(f"vnethash-{name}", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size)
    return descriptor
