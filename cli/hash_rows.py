"""What `vnethash hash` makes of answers: lines for people, and files of comma-separated values, JSON lines or numpy."""

from __future__ import annotations

import json
import re
import struct
from typing import IO, TYPE_CHECKING

from vnethash.spec.configuration import report_name
from vnethash.spec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vnethash.models.capture_reader import Batch

_NAMES = [report_name(number) for number in range(16)]
#: Columns of a .npy file: the number of the file, of the frame in it, and the answer; queue -1 for none.
_ROW = struct.Struct("<HQHIiII")
_DTYPE = [
    ("file", "<u2"), ("frame", "<u8"), ("report", "<u2"), ("value", "<u4"), ("queue", "<i4"), ("captured", "<u4"),
    ("wire", "<u4"),
]
_HEADER = 256


#: One frame and its answer, in the columns below; the value is 0 where nothing was hashed, the queue -1 where none is.
Row = tuple[int, int, int, int, int, int]
_COLUMNS = ("frame", "report", "value", "queue", "captured", "wire")


def rows(batch: Batch) -> Iterator[Row]:
    """Return the rows of a batch."""
    columns = (batch.numbers, *batch.answers[:3], batch.captured, batch.wire)
    numbers, report, value, queue, captured, wire = (column.tolist() for column in columns)
    return zip(numbers, report, value, queue, captured, wire, strict=True)


def condition(texts: tuple[str, ...]) -> Callable[[Row], bool] | None:
    """Return what tells the wanted rows, e.g. of "report==NONE" and "queue!=3"; raises UsageError for anything else."""
    tests = []
    for text in texts:
        match = re.fullmatch(r"\s*(report|queue|value|frame)\s*(==|!=)\s*(\S+)\s*", text)
        if match is None:
            raise UsageError(f"--where {text!r}", hint="report, queue, value or frame, then == or !=, then what")
        name, operator, word = match.groups()
        try:
            wanted = _NAMES.index(word.upper()) if name == "report" else int(word, 0)
        except ValueError:
            hint = f"reports are {', '.join(_NAMES[:10])}" if name == "report" else "a whole number, 0x... for hex"
            raise UsageError(f"--where {text!r}: no {name} {word!r}", hint=hint) from None
        tests.append((_COLUMNS.index(name), wanted, operator == "=="))
    if not tests:
        return None
    return lambda row: all((row[place] == wanted) is equal for place, wanted, equal in tests)


def line(row: Row) -> str:
    """Return a row for people: number, report, value, queue, and what is missing of the frame."""
    frame, report, value, queue, captured, wire = row
    shown = f"0x{value:08x}" if report else "-"
    steered = str(queue) if queue >= 0 else "-"
    cut = f"  cut: {captured} of {wire} bytes" if captured < wire else ""
    return f"{frame:>9}  {_NAMES[report]:9} {shown:10} {steered:>5}{cut}"


#: Stands above lines.
TITLE = f"{'frame':>9}  {'report':9} {'value':10} {'queue':>5}"


class Writer:
    """Writes rows to a file whose form follows from its name; raises UsageError where that cannot be.

    What was written is a whole file after every batch, also if the process ends there.
    """

    def __init__(self, path: Path) -> None:
        self._rows = 0
        forms = {".csv": self._csv, ".jsonl": self._jsonl, ".npy": self._npy}
        if path.suffix not in forms:
            raise UsageError(f"--output {path}: no such form", hint=f"FILE{', FILE'.join(forms)}")
        self._write = forms[path.suffix]
        try:
            self._file: IO[bytes] = path.open("wb")
            if path.suffix == ".csv":
                self._file.write(b"file,frame,report,value,queue,captured,wire\n")
            elif path.suffix == ".npy":
                self._file.write(self._npy_header())
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from None

    def write(self, number: int, name: str, chosen: Iterator[Row]) -> None:
        """Write rows of the capture that is called `name`, and is file `number` from 0 on."""
        data = self._write(number, name, chosen)
        try:
            self._file.write(data)
            if self._write == self._npy:
                self._rows += len(data) // _ROW.size
                self._file.seek(0)
                self._file.write(self._npy_header())
                self._file.seek(0, 2)
            self._file.flush()
        except OSError as error:
            raise UsageError(f"cannot write {self._file.name}: {error.strerror}") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _csv(self, number: int, name: str, chosen: Iterator[Row]) -> bytes:
        if any(letter in name for letter in ',"\n\r'):
            name = '"' + name.replace('"', '""') + '"'
        names = [f",{word}," for word in _NAMES]
        return "".join([
            f"{name},{frame}{names[report]}{f'0x{value:08x}' if report else ''},{queue if queue >= 0 else ''},"
            f"{captured},{wire}\n"
            for frame, report, value, queue, captured, wire in chosen
        ]).encode(errors="surrogateescape")

    def _jsonl(self, number: int, name: str, chosen: Iterator[Row]) -> bytes:
        quoted = json.dumps(name)
        return "".join([
            f'{{"file":{quoted},"frame":{frame},"report":"{_NAMES[report]}",'
            f'"value":{value if report else "null"},"queue":{queue if queue >= 0 else "null"},'
            f'"captured":{captured},"wire":{wire}}}\n'
            for frame, report, value, queue, captured, wire in chosen
        ]).encode()

    def _npy(self, number: int, name: str, chosen: Iterator[Row]) -> bytes:
        pack = _ROW.pack
        return b"".join([pack(number, *row) for row in chosen])

    def _npy_header(self) -> bytes:
        """Return the header of numpy's format, version 1.0; its size does not depend on the number of rows."""
        text = f"{{'descr': {_DTYPE!r}, 'fortran_order': False, 'shape': ({self._rows},), }}"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", _HEADER - 10) + text.ljust(_HEADER - 11).encode() + b"\n"
