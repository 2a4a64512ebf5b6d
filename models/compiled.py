"""The compiled twin: the source of the model, translated by numba, for millions of frames.

`models/compiled_source.py` writes the text; here it is compiled once and then taken from the cache
(XDG_CACHE_HOME/vnethash), under a name that follows from it. Keys, tables and readings are arguments, so that nothing
is compiled again for them. For one set of readings there is also a twin of its own, which is up to a quarter faster,
reads captures too, and has to be compiled for itself.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vnethash.models import compiled_source
from vnethash.models.batch import Answers, Setting
from vnethash.models.capture_ahead import Engine
from vnethash.models.reference import ANY_VALUE
from vnethash.spec.errors import UsageError, VnethashError
from vnethash.spec.outcome import Outcome
from vnethash.spec.readings import Readings, UnhashedValue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from mmap import mmap

    from vnethash.spec.configuration import Configuration

    Octets = bytes | bytearray | memoryview | mmap

#: Frames that are answered in one go, so many as a part of a capture has where the frames are as short as they get.
_ROOM = 1 << 18


class Compiled:
    """The compiled twin for one configuration and one set of readings; raises VnethashError where numba is missing.

    With `fixed` it is the one for these readings alone.
    """

    def __init__(self, configuration: Configuration, readings: Readings, *, fixed: bool = False) -> None:
        self._batch = load(readings if fixed else None).batch
        self._any_value = readings.unhashed_value == UnhashedValue.UNSPECIFIED
        self._setting = _arguments(Setting.of(configuration, readings), readings)

    def run_packed(self, data: Octets, offsets: Sequence[int]) -> tuple[Any, Any, Any]:
        """Return report (u16), value (u32; 0 where nothing was hashed) and queue (i32; -1 for none) of each frame.

        Frame i is `data[offsets[i]:offsets[i + 1]]`; raises UsageError for offsets that are not in order or not in it.
        """
        numpy = _numpy()
        places = numpy.ascontiguousarray(offsets, dtype=numpy.int64)
        if places.ndim != 1 or len(places) == 0:
            raise UsageError("offsets of packed frames: one more than there are frames")
        answers = self.run_places(data, places[:-1], places[1:])
        return answers.report, answers.value, answers.queue

    def run_places(self, data: Any, starts: Any, ends: Any) -> Answers:
        """Return the answers to frames `data[starts[i]:ends[i]]`, which may lie anywhere in it, with gaps or twice.

        `data` is anything with a buffer, a mapped file too; it is not copied, and other threads run meanwhile. Raises
        UsageError for a frame that is not in it.
        """
        numpy = _numpy()
        octets, starts, ends = _places(data, starts, ends)
        count = len(starts)
        answers = Answers(*(numpy.empty(count, dtype=kind) for kind in ("u2", "u4", "i4", "u1")))
        self._batch(octets, starts, ends, count, *self._setting, *answers)
        return answers

    def outcomes(self, frames: Sequence[bytes]) -> list[Outcome]:
        """Return what `reference.outcome` returns for each frame."""
        offsets = [0]
        for frame in frames:
            offsets.append(offsets[-1] + len(frame))
        columns = (column.tolist() for column in self.run_packed(b"".join(frames), offsets))
        return [
            Outcome(report, ANY_VALUE if report == 0 and self._any_value else value, queue)
            for report, value, queue in zip(*columns, strict=True)
        ]


class Followed:
    """What the model meets on its way, compiled: for one configuration and one set of readings.

    Raises VnethashError where numba is missing.
    """

    def __init__(self, configuration: Configuration, readings: Readings) -> None:
        self._follow = load(followed=True).follow
        types, tunnels, numbers, *_ = _arguments(Setting.of(configuration, readings), readings)
        self._setting = types, tunnels, numbers

    def run_places(self, data: Any, starts: Any, ends: Any) -> tuple[Any, Any]:
        """Return the rule that decides (u8) and the mask of events (i64) of frames `data[starts[i]:ends[i]]`.

        Raises UsageError for a frame that is not in the data.
        """
        numpy = _numpy()
        octets, starts, ends = _places(data, starts, ends)
        rules, events = numpy.empty(len(starts), dtype="u1"), numpy.empty(len(starts), dtype="i8")
        self._follow(octets, starts, ends, len(starts), *self._setting, rules, events)
        return rules, events


def engine(configuration: Configuration, readings: Readings) -> Engine:
    """Return what answers captures by the twin for these readings; raises VnethashError where numba is missing."""
    numpy = _numpy()
    functions = load(readings)
    setting = Setting.of(configuration, readings)
    return Engine(
        "compiled", _ROOM, functions.frames, functions.guess, functions.tally, _arguments(setting, readings),
        setting.queues(), lambda kind, count: numpy.zeros(count, dtype=kind),
        lambda kind, count: numpy.empty(count, dtype=kind), _octets, os.cpu_count() or 1,
    )


def _places(data: Any, starts: Any, ends: Any) -> tuple[Any, Any, Any]:
    """Return all as the twin takes it; raises UsageError for a frame that is not in the data."""
    numpy = _numpy()
    octets = _octets(data)
    starts = numpy.ascontiguousarray(starts, dtype=numpy.int64)
    ends = numpy.ascontiguousarray(ends, dtype=numpy.int64)
    count = len(starts)
    # Once for all frames, because nothing is held against the end of the data after that.
    inside = len(ends) == count and (
        count == 0 or bool(starts.min() >= 0 and ends.max() <= len(octets) and (starts <= ends).all())
    )
    if not inside:
        raise UsageError("offsets of packed frames: not in order, or outside of the data")
    return octets, starts, ends


def _arguments(setting: Setting, readings: Readings) -> tuple[Any, ...]:
    """Return what the twin takes of a configuration and readings."""
    numpy = _numpy()
    return (
        setting.types, setting.tunnels, numpy.array(readings, dtype=numpy.int64),
        numpy.array(setting.keys, dtype=numpy.uint32), numpy.array(setting.rows, dtype=numpy.int64),
        numpy.array(setting.table, dtype=numpy.int32), setting.no_queue,
    )


def outcomes(frames: Sequence[bytes], configuration: Configuration, readings: Readings) -> list[Outcome]:
    """Return what `reference.outcome` returns for each frame, by the compiled twin."""
    return Compiled(configuration, readings).outcomes(frames)


@cache
def load(readings: Readings | None = None, *, followed: bool = False) -> Any:
    """Return the module of compiled functions, for all readings or for these; raises VnethashError without numba.

    The one that is `followed` has no answers, but what was met on the way.
    """
    _numpy()
    text = followed_source() if followed else source(readings)
    name = _name(text)
    path = _written(f"{name}.py", text)
    if path is None:
        # Nowhere to write: compile in memory, every time.
        module = ModuleType(name)
        exec(compile(text.replace("cache=True", "cache=False"), name, "exec"), vars(module))  # noqa: S102 - our source
    else:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # numba looks a cached function's module up by name
        spec.loader.exec_module(module)
    if path is None or not _in_cache(path):
        module.compile_all()
    module.compile_entries()
    return module


def is_compiled(readings: Readings | None = None, *, followed: bool = False) -> bool:
    """Say whether what `load` returns for the same lies in the cache, so that it takes no more than a second."""
    _numpy()
    text = followed_source() if followed else source(readings)
    path = _path(_name(text))
    return path.is_file() and _in_cache(path)


@cache
def source(readings: Readings | None = None) -> str:
    """Return the text of the module that numba compiles."""
    return compiled_source.source(readings)


@cache
def followed_source() -> str:
    """Return the text of the module that says what was met on the way."""
    return compiled_source.source(followed=True)


def _name(text: str) -> str:
    import numba  # noqa: PLC0415 - takes a second

    digest = hashlib.sha256(f"{numba.__version__} {sys.version} {text}".encode()).hexdigest()[:16]
    return f"vnethash_compiled_{digest}"


def _in_cache(path: Path) -> bool:
    return any((path.parent / "__pycache__").glob(f"{path.stem}.*.nbi"))


def _path(name: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vnethash" / f"{name}.py"


def _written(name: str, text: str) -> Path | None:
    """Write the module into the user's cache and return its path, None where nothing can be written."""
    path = _path(name.removesuffix(".py"))
    folder = path.parent
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return path if os.access(folder, os.W_OK) else None
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".new", delete=False, encoding="utf-8") as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError:
        return None
    return path


@cache
def _numpy() -> Any:
    try:
        import numba  # noqa: F401, PLC0415
        import numpy  # noqa: PLC0415
    except ImportError as error:
        raise VnethashError("compiled twin needs numba", hint="pip install 'vnethash[fast]'") from error
    return numpy


def _octets(data: Octets) -> Any:
    """Return the bytes as an array that the twin takes, without copying them."""
    if getattr(data, "dtype", None) == "uint8":
        return data
    octets = _numpy().frombuffer(data, dtype="uint8") if len(data) else _numpy().empty(0, dtype="uint8")
    octets.flags.writeable = False
    return octets
