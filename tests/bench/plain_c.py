"""plain.c, compiled and called: what a straightforward C program makes of frames."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from measure import Missing
from vnethash.models.toeplitz import byte_tables

if TYPE_CHECKING:
    from pathlib import Path

    from vnethash.spec.configuration import Configuration

FLAGS = ("-O3", "-march=native", "-shared", "-fPIC")


def build(source: Path, folder: Path, *flags: str) -> ctypes.CDLL:
    """Compile a C file into a library and load it; raises Missing without a compiler."""
    if not shutil.which("cc"):
        raise Missing("no cc on PATH")
    library = folder / f"{source.stem}.so"
    subprocess.run(["cc", *FLAGS, "-o", library, source, *flags], check=True)
    return ctypes.CDLL(str(library))


class _Config(ctypes.Structure):
    _fields_ = (
        ("types", ctypes.c_uint32), ("entries", ctypes.c_uint32), ("queues", ctypes.c_void_p),
        ("unclassified", ctypes.c_int32), ("key", ctypes.c_void_p),
    )


class Plain:
    """The functions of plain.c for one configuration."""

    def __init__(self, library: ctypes.CDLL, configuration: Configuration) -> None:
        import numpy

        self._library = library
        library.plain_pcap.restype = ctypes.c_int64
        self._key = numpy.array(byte_tables(configuration.key), dtype=numpy.uint32)
        self._queues = numpy.array(configuration.indirection_table, dtype=numpy.int32)
        self._config = _Config(
            configuration.hash_types, len(self._queues), self._queues.ctypes.data, configuration.unclassified_queue,
            self._key.ctypes.data,
        )

    def batch(self, data: Any, starts: Any, ends: Any) -> tuple[Any, Any, Any]:
        """Return report, value and queue of frames `data[starts[i]:ends[i]]`."""
        columns = _columns(len(starts))
        self._library.plain_batch(
            ctypes.byref(self._config), _address(data), _address(starts), _address(ends),
            ctypes.c_int64(len(starts)), *map(_address, columns),
        )
        return columns

    def pcap(self, data: Any, most: int) -> tuple[Any, Any, Any]:
        """Return the same of a pcap file of at most `most` frames."""
        columns = _columns(most)
        count = self._library.plain_pcap(
            ctypes.byref(self._config), _address(data), ctypes.c_int64(len(data)), *map(_address, columns)
        )
        report, value, queue = columns
        return report[:count], value[:count], queue[:count]


def _columns(count: int) -> tuple[Any, Any, Any]:
    import numpy

    return numpy.empty(count, numpy.uint16), numpy.empty(count, numpy.uint32), numpy.empty(count, numpy.int32)


def _address(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
