"""Read capture files in batches of frames: pcap and pcapng, mapped, out of gzip, or from a pipe.

A regular file is mapped and its frames stay where they are; of what comes through gzip or a pipe there is one window
in memory at a time. What no frame can be made of ends the reading and is told in `Capture.damage`, never raised, so
that the frames before it count.
"""

from __future__ import annotations

import contextlib
import gzip
import mmap
import os
import stat
import sys
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from vnethash.models import captures
from vnethash.models.batch import Answers
from vnethash.models.capture_ahead import Ahead, Engine
from vnethash.models.captures import BAD, BLOCK, FULL, LONGEST
from vnethash.spec.errors import FormatError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


#: Bytes read at once from a pipe.
WINDOW = 1 << 24
#: A pcapng block, or what follows the last whole record, is at most that long.
LARGEST = 1 << 26
#: Behind so many batches the pages of a mapped file are given back.
KEPT = 8

#: Names of link types (LINKTYPE_ values of the pcap formats).
LINK_TYPES = {
    0: "NULL", 1: "ETHERNET", 6: "IEEE802_5", 8: "SLIP", 9: "PPP", 10: "FDDI", 50: "PPP_HDLC", 51: "PPP_ETHER",
    101: "RAW", 104: "C_HDLC", 105: "IEEE802_11", 107: "FRELAY", 108: "LOOP", 113: "LINUX_SLL",
    119: "IEEE802_11_PRISM", 127: "IEEE802_11_RADIOTAP", 187: "BLUETOOTH_HCI_H4", 189: "USB_LINUX",
    195: "IEEE802_15_4_WITHFCS", 220: "USB_LINUX_MMAPPED", 227: "CAN_SOCKETCAN", 228: "IPV4", 229: "IPV6",
    239: "NFLOG", 247: "INFINIBAND", 249: "USBPCAP", 253: "NETLINK", 271: "VSOCK_MON", 274: "ETHERNET_MPACKET",
    276: "LINUX_SLL2",
}
#: Other formats by their first bytes, and what turns them into one of ours.
_OTHERS = (
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "zstd -dc FILE | vnethash hash -"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "lz4 -dc FILE | vnethash hash -"),
    (b"\xfd7zXZ\0", "compressed by xz", "xz -dc FILE | vnethash hash -"),
    (b"BZh", "compressed by bzip2", "bzip2 -dc FILE | vnethash hash -"),
    (b"snoop\0\0\0", "a snoop capture", "editcap -F pcapng FILE OUT makes a pcapng of it"),
)
_PCAP = {  # magic number -> nanoseconds, size of a record header
    0xA1B2C3D4: ("microseconds", 16), 0xA1B23C4D: ("nanoseconds", 16), 0xA1B2CD34: ("microseconds, modified", 24),
}


class Batch(NamedTuple):
    """Ethernet frames in a row and what is answered to them, in columns.

    Numbers count all frames of the file from 1 on, as Wireshark does. `captured` bytes are in the file, and `wire` were
    there; both without a frame check sequence.
    """

    numbers: Any
    captured: Any
    wire: Any
    answers: Answers


class _Interface(NamedTuple):
    link: int
    snap: int
    fcs: int


class Capture:
    """One capture, read once from its beginning; raises UsageError or FormatError for what cannot be opened or is none.

    Attributes:
        name: as given; "-" for standard input.
        form: e.g. "pcap, big endian, nanoseconds".
        frames: how many frames were found so far, of any link type.
        others: of these, frames of link types other than Ethernet, by their name.
        damage: where the file cannot be read on and why, "" if it can.
        left: bytes behind the last whole record, as in the file of a writer that was stopped.
        size: bytes of the file as it lies there; 0 if unknown.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self.form = ""
        self.frames = 0
        self.others: dict[str, int] = {}
        self.damage = ""
        self.left = 0
        self._engine = engine
        self._source: _Mapped | _Stream = _open(name)
        self.size = self._source.size
        self._source.more(0)
        self._octets = engine.octets(self._source.data)
        self._at = 0
        self._big = False
        self._header = 0
        self._interfaces: list[_Interface] = []
        # Parts of a window that is about to be left are not worth it.
        self._ahead = Ahead(engine, workers=engine.workers if isinstance(self._source, _Mapped) else 1)
        self._begin()

    def close(self) -> None:
        """Close the file; arrays that were given out stay valid."""
        self._ahead.close()
        self._source.close()

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def position(self) -> int:
        """Return how many bytes of the file were taken."""
        return self._source.position(self._at)

    def batches(self) -> Iterator[Batch]:
        """Return the Ethernet frames in order; can be asked once."""
        return self._pcapng() if self.form.startswith("pcapng") else self._pcap()

    def _begin(self) -> None:
        """Recognise the format and read the header of a pcap."""
        head = bytes(self._source.data[:24])
        where = "standard input" if self.name == "-" else self.name
        if not head:
            raise FormatError(f"{where}: empty, not a capture")
        for magic, what, hint in _OTHERS:
            if head.startswith(magic):
                raise FormatError(f"{where}: {what}", hint=hint)
        if head[:4] == b"\x0a\x0d\x0d\x0a":
            self.form = "pcapng" + self._source.words
            return
        for order in ("little", "big"):
            big = order == "big"
            number = int.from_bytes(head[:4], "big" if big else "little")
            if number in _PCAP and len(head) == 24:
                self._big = big
                resolution, self._header = _PCAP[number]
                link = captures.four_bytes(head, 20, big)
                # The length of the frame check sequence is given in 16-bit words.
                fcs = (link >> 28) * 2 if link & 0x04000000 else 0
                self._interfaces = [_Interface(link & 0xFFFF, captures.four_bytes(head, 16, big), fcs)]
                self.form = f"pcap, {order} endian, {resolution}{self._source.words}"
                self._at = 24
                return
        what = "a pcap cut in its header" if int.from_bytes(head[:4], "little") in _PCAP else "not a pcap or pcapng"
        raise FormatError(f"{where}: {what}", hint="" if "cut" in what else "it begins with " + head[:4].hex(" "))

    def _read(self, header: int, longest: int, tables: list[Any]) -> tuple[Batch, int]:
        """Answer as many frames as there is room for; return them, and why that ended."""
        part = self._ahead.part(
            self._octets, self._at, self._end(), (self._big, header, longest, len(self._interfaces)), tables,
            self.frames + 1,
        )
        self._at = part.behind
        for number, one in enumerate(self._interfaces):
            if part.others[number]:
                name = LINK_TYPES.get(one.link, f"link type {one.link}")
                self.others[name] = self.others.get(name, 0) + int(part.others[number])
        numbers, captured, wire, *answers = part.columns
        self.frames += part.seen
        return Batch(numbers, captured, wire, Answers(*answers)), part.why

    def _tables(self) -> list[Any]:
        """Return link types, snapshot lengths and check sequences, by interface."""
        self._ahead.forget()
        tables = [self._engine.column("q", max(1, len(self._interfaces))) for _ in range(3)]
        for number, one in enumerate(self._interfaces):
            tables[0][number], tables[1][number], tables[2][number] = one
        return tables

    def _pcap(self) -> Iterator[Batch]:
        longest = min(max(LONGEST, self._interfaces[0].snap), LARGEST)
        tables = self._tables()
        while True:
            batch, why = self._read(self._header, longest, tables)
            if len(batch.numbers):
                yield batch
            if why == BAD:
                length = captures.four_bytes(self._source.data, self._at + 8, self._big)
                self._damaged(f"a frame of {length} bytes is announced")
                return
            if why != FULL and not self._more():
                return

    def _pcapng(self) -> Iterator[Batch]:
        tables = self._tables()
        while True:
            batch, why = self._read(0, 0, tables)
            if len(batch.numbers):
                yield batch
            if why == BAD:
                self._damaged("a block that cannot be")
                return
            if why == BLOCK:
                if self._section_or_interface():
                    tables = self._tables()
                elif self.damage or not self._more():
                    return
            elif why != FULL and not self._more():
                return

    def _section_or_interface(self) -> bool:
        """Take the block at hand, which changes the interfaces; False if it is not all there, or damaged."""
        data, at = self._source.data, self._at
        if captures.four_bytes(data, at, False) == captures.SECTION_HEADER:
            order = bytes(data[at + 8:at + 12])
            if order not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
                self._damaged("a section without a byte order")
                return False
            self._big = order[0] == 0x1A
            least, section = 28, True
        else:
            least, section = 20, False
        size = captures.four_bytes(data, at + 4, self._big)
        if size < least or size % 4 or size > LARGEST:
            self._damaged(f"a block of {size} bytes that describes a section or an interface")
            return False
        if at + size > self._end():
            return False
        if captures.four_bytes(data, at + size - 4, self._big) != size:
            self._damaged("a block whose two lengths differ")
            return False
        self._at = at + size
        if section:
            self._interfaces = []
            return True
        link = captures.two_bytes(data, at + 8, self._big)
        snap = captures.four_bytes(data, at + 12, self._big)
        self._interfaces = [*self._interfaces, _Interface(link, snap, self._fcs_length(at + 16, at + size - 4))]
        return True

    def _fcs_length(self, at: int, end: int) -> int:
        """Return what the option if_fcslen says, in bytes; 0 if it is not there."""
        data = self._source.data
        while at + 4 <= end:
            code = captures.two_bytes(data, at, self._big)
            length = captures.two_bytes(data, at + 2, self._big)
            if code == 0:
                break
            if code == 13 and length == 1 and at + 5 <= end:
                # It is given in bits there; some writers give bytes.
                value = int(data[at + 4])
                return value // 8 if value >= 8 else value
            at += 4 + (length + 3) // 4 * 4
        return 0

    def _end(self) -> int:
        return self._source.end(self._at)

    def _more(self) -> bool:
        """Get more bytes; False, with what is to be said of the rest, if there are none."""
        at = self._source.more(self._at)
        if at is not None:
            self._at = at
            self._ahead.forget()
            self._octets = self._engine.octets(self._source.data)
            return True
        self.left = self._end() - self._at
        if self._source.fault:
            self._damaged(self._source.fault)
        elif self.left > LARGEST:
            self._damaged("a record that ends behind the file")
        return False

    def _damaged(self, why: str) -> None:
        self.damage = f"damaged at byte {self._source.offset(self._at)}, behind frame {self.frames}: {why}"


class _Mapped:
    """A regular file in memory as it lies there."""

    words = ""
    fault = ""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.size = size
        self.data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._released = 0
        self._starts = [0] * KEPT
        with contextlib.suppress(OSError, AttributeError, ValueError):
            self.data.madvise(mmap.MADV_SEQUENTIAL)

    def end(self, at: int) -> int:
        """Return where what may be read ends; gives pages back that lie well before `at`."""
        self._starts = [*self._starts[1:], at]
        behind = self._starts[0] // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        if behind > self._released:
            with contextlib.suppress(OSError, AttributeError, ValueError):
                self.data.madvise(mmap.MADV_DONTNEED, self._released, behind - self._released)
            self._released = behind
        # Reading behind the end of a file that was cut meanwhile would end the process.
        return min(self.size, os.fstat(self._file.fileno()).st_size)

    def more(self, at: int) -> int | None:
        return None

    def offset(self, at: int) -> int:
        return at

    def position(self, at: int) -> int:
        return at

    def close(self) -> None:
        self._file.close()


class _Stream:
    """One window of what comes through a pipe or out of gzip."""

    def __init__(self, file: IO[bytes], size: int, words: str, raw: IO[bytes]) -> None:
        self._file = file
        self._raw = raw
        self.size = size
        self.words = words
        self.fault = ""
        self.data = b""
        self._before = 0

    def end(self, at: int) -> int:
        return len(self.data)

    def more(self, at: int) -> int | None:
        """Keep what lies from `at` on, read on, and return where it lies now; None at the end."""
        parts = [self.data[at:]]
        if len(parts[0]) > LARGEST or self.fault:
            return None
        got = 0
        try:
            while got < WINDOW and (part := self._file.read(WINDOW - got)):
                parts.append(part)
                got += len(part)
        except (EOFError, zlib.error, OSError) as error:
            self.fault = str(error)
        if not got:
            return None
        self._before += at
        self.data = b"".join(parts)
        return 0

    def offset(self, at: int) -> int:
        return self._before + at

    def position(self, at: int) -> int:
        if self._raw is self._file:
            return self._before + at
        return self._raw.tell() if self._raw.seekable() else 0

    def close(self) -> None:
        if self._raw is not sys.stdin.buffer:
            self._file.close()
            self._raw.close()


def _open(name: str) -> _Mapped | _Stream:
    """Open a file or standard input; raises UsageError if that cannot be."""
    try:
        raw: Any = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - closed by the capture
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None
    try:
        status = os.fstat(raw.fileno())
        mode, size = status.st_mode, status.st_size
    except OSError:  # a stand-in for standard input
        mode, size = 0, 0
    if not stat.S_ISREG(mode):
        size = 0
    elif not size:
        raise FormatError(f"{name}: empty, not a capture")
    if raw.peek(2)[:2] == b"\x1f\x8b":
        return _Stream(cast("IO[bytes]", gzip.open(raw)), size, ", gzip", raw)
    return _Mapped(raw, size) if size and name != "-" else _Stream(raw, size, "", raw)
