"""Any target behind protocol version 1: what `vnethash adapter serve` runs.

A request that cannot be read is answered with an error and the next one is awaited. What the target raises is answered
with an error too; anything unforeseen ends the process with its traceback on stderr, so that the runner at the other
end finds the frame that did it.
"""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

from vnethash.spec.errors import FormatError, TargetError, UsageError, VnethashError
from vnethash.targets.base import Refused
from vnethash.targets.exec import framing as binary
from vnethash.targets.exec import messages
from vnethash.targets.exec.messages import Unreadable, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.targets.base import Target

#: Longest request that is read, in bytes.
REQUEST_LIMIT = 256 << 20


class Column(Protocol):
    """A column of numbers: a numpy array, an `array.array`."""

    def tolist(self) -> list[int]:
        """Return the numbers as Python integers."""


@runtime_checkable
class PackedTarget(Protocol):
    """What a target may have beside `run`, to answer a whole batch without a Python object a frame.

    `run_packed(data, offsets)` gets all frames in one piece and `count + 1` offsets as an `array` of 64-bit integers
    (so `numpy.frombuffer(offsets, "int64")` copies nothing); frame i is `data[offsets[i]:offsets[i + 1]]`. It answers
    three columns of `count` numbers, report, value and queue, each None where the target does not show that part; or
    None alone for a batch that it leaves to `run` (because a frame is to be skipped, say). A VnethashError that is no
    TargetError (numba is not installed, say) leaves this batch and all that follow to `run`.
    """

    def run_packed(
        self, data: bytes, offsets: array[int]
    ) -> tuple[Column | None, Column | None, Column | None] | None:
        """Return the columns report, value and queue."""


def serve(
    target: Target,
    stdin: BinaryIO,
    stdout: BinaryIO,
    *,
    framing: messages.Framing = "json",
    validate: bool = False,
) -> None:
    """Answer requests until `stop` or the end of the input; the target stays open.

    Args:
        target: what answers.
        stdin: where requests come from.
        stdout: where answers go, each flushed.
        framing: what to agree on in `start`.
        validate: refuse requests with unknown fields.
    """
    if framing not in messages.FRAMINGS:
        raise UsageError(f"no framing {framing!r}", hint="json or binary")
    server = _Server(target, framing, validate)
    while not server.stopped:
        try:
            answer = server.answer(stdin)
        except EOFError:
            return
        try:
            stdout.write(answer)
            stdout.flush()
        except BrokenPipeError:
            return


class _Server:
    def __init__(self, target: Target, framing: messages.Framing, validate: bool) -> None:
        self.stopped = False
        self._target = target
        self._packed = target.run_packed if isinstance(target, PackedTarget) else None
        self._framing: messages.Framing = framing
        self._validate = validate
        self._started = False
        self._configured = False

    def answer(self, stdin: BinaryIO) -> bytes:
        """Return the answer to the next request; raises EOFError where there is none."""
        first = stdin.read(1)
        if not first:
            raise EOFError
        if first[0] == binary.RUN:
            return self._binary_run(_exactly(stdin, binary.HEADER.size - 1, first), stdin)
        line = first + stdin.readline(REQUEST_LIMIT) if first != b"\n" else first
        if not line.endswith(b"\n") and len(line) > REQUEST_LIMIT:
            self.stopped = True
            return messages.error_answer(f"a request of more than {REQUEST_LIMIT} bytes")
        if not line.strip():
            return messages.error_answer("an empty line; a request is one JSON object a line")
        try:
            request = messages.read_request(line, validate=self._validate)
        except Unreadable as error:
            return messages.error_answer(f"{error.message}; in {quoted(line, 80)}", messages.seq_of(line))
        if isinstance(request, messages.Run):
            return self._run(request)
        if isinstance(request, messages.Configure):
            return self._configure(request)
        if isinstance(request, messages.Start):
            return self._start(request)
        self.stopped = True
        return b"{}\n"

    def _start(self, request: messages.Start) -> bytes:
        if request.version != messages.VERSION:
            return messages.error_answer(
                f"protocol version {request.version} was asked for; version {messages.VERSION} is spoken here"
            )
        self._started = True
        return messages.start_answer(self._target, self._framing)

    def _configure(self, request: messages.Configure) -> bytes:
        if not self._started:
            return messages.error_answer("`configure` before `start`", request.seq)
        try:
            self._target.configure(messages.to_configuration(request.config))
        except Refused as refused:
            if refused.skipped:
                return messages.configure_answer(request.seq, skipped=refused.message)
            return messages.configure_answer(request.seq, error=refused.message)
        except FormatError as error:
            return messages.configure_answer(request.seq, error=error.line())
        except TargetError as error:
            return messages.error_answer(error.line(), request.seq)
        self._configured = True
        return messages.configure_answer(request.seq)

    def _run(self, request: messages.Run) -> bytes:
        seq, packets = request.seq, request.packets
        if not self._configured:
            return messages.error_answer("`run` before `configure`", seq)
        try:
            if self._packed is not None:
                columns = self._columns(*_joined(packets))
                if columns is not None:
                    return messages.outcomes_answer(seq, len(packets), *columns)
            return messages.run_answer(seq, self._target.run(messages.unhexed(packets)))
        except (TargetError, FormatError) as error:
            return messages.error_answer(error.line(), seq)

    def _binary_run(self, head: bytes, stdin: BinaryIO) -> bytes:
        try:
            header = binary.read_header(head)
        except Unreadable as error:  # how long it is cannot be known, so neither can where the next one starts
            self.stopped = True
            return messages.error_answer(error.message)
        if header.size > REQUEST_LIMIT:
            self.stopped = True
            return messages.error_answer(f"a request of more than {REQUEST_LIMIT} bytes", header.seq)
        body = _exactly(stdin, header.size)
        if self._framing != "binary":
            return messages.error_answer("a binary `run` where JSON was agreed on", header.seq)
        if not self._configured:
            return messages.error_answer("`run` before `configure`", header.seq)
        try:
            data, offsets = binary.read_run_body(header, body)
            if self._packed is not None:
                columns = self._columns(data, offsets)
                if columns is not None:
                    return binary.outcomes_message(header.seq, header.frames, *columns)
            return binary.results_message(header.seq, self._target.run(binary.split(data, offsets)))
        except Unreadable as error:
            return messages.error_answer(error.message, header.seq)
        except TargetError as error:
            return messages.error_answer(error.line(), header.seq)

    def _columns(self, data: bytes, offsets: array[int]) -> list[list[int] | None] | None:
        assert self._packed is not None
        try:
            columns = self._packed(data, offsets)
        except TargetError:
            raise
        except VnethashError as error:
            sys.stderr.write(f"vnethash: {error.line()}; answering frame by frame\n")
            self._packed = None
            return None
        if columns is None:
            return None
        lists = [None if column is None else column.tolist() for column in columns]
        assert all(numbers is None or len(numbers) == len(offsets) - 1 for numbers in lists)
        return lists


def _joined(packets: Sequence[str]) -> tuple[bytes, array[int]]:
    """Return (all frames in one piece, offsets); raises FormatError."""
    try:
        data = bytes.fromhex("".join(packets))
    except ValueError:
        data = b""
    lengths = list(map(len, packets))
    if 2 * len(data) != sum(lengths) or any(length & 1 for length in lengths):
        frames = messages.unhexed(list(packets))  # says which one is wrong
        return b"".join(frames), array("q", accumulate(map(len, frames), initial=0))
    return data, array("q", accumulate((length >> 1 for length in lengths), initial=0))


def _exactly(stdin: BinaryIO, count: int, begun: bytes = b"") -> bytes:
    data = stdin.read(count)
    if len(data) < count:
        raise EOFError
    return begun + data
