"""One adapter process: bytes to it, bytes from it, a time limit on everything, and its end.

Its three pipes are read and written without ever blocking, so that an adapter that floods stderr, or answers before it
has read its request, cannot stop us. It runs in a session of its own, dies with us, and is ended by its own id.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import selectors
import time
import weakref
from typing import IO, TYPE_CHECKING

from vnethash.spec.errors import ProtocolError, TargetDied, TargetTimeout
from vnethash.targets.children import end_group, how_ended, spawn
from vnethash.targets.exec.messages import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Longest answer that is taken, in bytes.
ANSWER_LIMIT = 16 << 20
#: How much of stderr is kept, in bytes.
STDERR_KEPT = 64 << 10

_PIPE_SIZE = 1 << 20
_CHUNK = 1 << 18
#: How long we wait for an end that is announced already (stdout closed), in seconds.
_MOMENT = 0.5
_SMOKE = "`vnethash adapter smoke` shows what an adapter answers"


class Process:
    """A started adapter and the request it is working on.

    `send` sends a request, `expect` sets the time limit of the next answer; `first_byte`, `line` and `exactly` read
    it. They raise TargetDied and TargetTimeout (it is of no use any more then) and ProtocolError for an answer beyond
    the limit.
    """

    def __init__(self, name: str, argv: Sequence[str], pass_fds: Sequence[int] = ()) -> None:
        self.name = name
        try:
            self._popen = spawn(tuple(argv), pass_fds=pass_fds)
        except (OSError, ValueError) as error:
            raise TargetDied(f"{name}: would not start: {_why(error, argv[0])}", hint=_start_hint(error)) from None
        self.pid = self._popen.pid
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        self._stdin: IO[bytes] = self._popen.stdin
        self._stdout: IO[bytes] = self._popen.stdout
        self._stderr: IO[bytes] = self._popen.stderr
        self._finalizer = weakref.finalize(self, end_group, self._popen)
        self._out = memoryview(b"")
        self._in = bytearray()
        self._words = bytearray()
        self._exited = False
        self._asked = "`start`"
        self._seconds = 0.0
        self._deadline = 0.0
        self._pidfd = -1
        self._selector = selectors.DefaultSelector()
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)
            with contextlib.suppress(OSError, AttributeError):
                fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        self._selector.register(self._stdout, selectors.EVENT_READ, self._read_stdout)
        self._selector.register(self._stderr, selectors.EVENT_READ, self._read_stderr)
        with contextlib.suppress(OSError, AttributeError):
            self._pidfd = os.pidfd_open(self.pid)
            self._selector.register(self._pidfd, selectors.EVENT_READ, self._note_exit)
        self._eof = False

    def ended(self) -> bool:
        """Tell whether it has ended already."""
        return bool(how_ended(self.pid))

    def send(self, request: bytes) -> None:
        """Send a request, or what of it can be sent now; reading sends the rest."""
        writing = bool(self._out)
        self._out = memoryview(bytes(self._out) + request) if writing else memoryview(request)
        self._write_stdin()
        if self._out and not writing:
            self._selector.register(self._stdin, selectors.EVENT_WRITE, self._write_stdin)

    def expect(self, asked: str, seconds: float) -> None:
        """Set the time limit of the next answer; `asked` says in messages what was asked for."""
        self._asked = asked
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def first_byte(self) -> int:
        """Return the first byte of the answer and leave it there."""
        while not self._in:
            self._pump()
        return self._in[0]

    def line(self) -> bytes:
        """Return the answer up to its newline."""
        searched = 0
        while (end := self._in.find(b"\n", searched)) < 0:
            searched = len(self._in)
            if searched > ANSWER_LIMIT:
                raise ProtocolError(
                    f"{self.name}: asked to {self._asked}, it sent {searched} bytes without the end of a line; "
                    f"it said: {quoted(bytes(self._in[:1024]))}",
                    hint=f"an answer has at most {ANSWER_LIMIT} bytes",
                )
            self._pump()
        line = bytes(self._in[:end])
        del self._in[: end + 1]
        return line

    def exactly(self, count: int) -> bytes:
        """Return the next `count` bytes of the answer."""
        if count > ANSWER_LIMIT:
            raise ProtocolError(
                f"{self.name}: asked to {self._asked}, it announced an answer of {count} bytes",
                hint=f"an answer has at most {ANSWER_LIMIT} bytes",
            )
        while len(self._in) < count:
            self._pump()
        data = bytes(self._in[:count])
        del self._in[:count]
        return data

    def last_words(self) -> str:
        """Return the last lines of its stderr as one line, "" if it said nothing; a sanitizer's summary goes first."""
        lines = [line.strip() for line in self._words.decode("utf-8", "replace").splitlines() if line.strip()]
        text = " | ".join([line for line in lines if line.startswith("SUMMARY: ")][-1:] or lines[-3:])
        return quoted(text if len(text) <= 300 else f"…{text[-300:]}", 400) if text else ""

    def stderr(self) -> bytes:
        """Return what is kept of its stderr."""
        self._drain()
        return bytes(self._words)

    def wait(self, seconds: float) -> str:
        """Return how it ended ("ended with status 0"), "" if it still runs after `seconds`; reads stderr meanwhile."""
        end = time.monotonic() + seconds
        pause = 0.001
        while not (how := how_ended(self.pid)):
            left = end - time.monotonic()
            if left <= 0:
                return ""
            self._drain()
            time.sleep(min(pause, left))
            pause = min(2 * pause, 0.02)
        self._drain()
        return how

    def close_stdin(self) -> None:
        """Tell it that nothing more will be asked."""
        if self._out:
            self._stop_writing()
        with contextlib.suppress(OSError):
            self._stdin.close()

    def end(self) -> None:
        """End it, and what it started in its process group, at once; may be called twice."""
        self._selector.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self._finalizer()

    def _pump(self) -> None:
        """Move bytes until something has changed."""
        if self._exited and self._read_stdout():  # what it wrote before its end; no more will come to wait for
            return
        if self._exited or self._eof:
            raise self._died()
        left = self._deadline - time.monotonic()
        ready = self._selector.select(left) if left > 0 else ()
        if not ready:
            raise self._late()
        for key, _ in ready:
            key.data()

    def _write_stdin(self) -> None:
        try:
            while self._out:
                self._out = self._out[os.write(self._stdin.fileno(), self._out) :]
        except BlockingIOError:
            return
        except OSError as error:  # it closed its stdin; what became of it shows on stdout
            if error.errno != errno.EPIPE:
                raise
        self._stop_writing()

    def _stop_writing(self) -> None:
        self._out = memoryview(b"")
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(self._stdin)

    def _read_stdout(self) -> bool:
        data = _read(self._stdout)
        if data:
            self._in += data
        elif data is not None:
            self._eof = True
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._stdout)
        return bool(data)

    def _read_stderr(self) -> bool:
        data = _read(self._stderr)
        if data:
            self._words += data
            del self._words[:-STDERR_KEPT]
        elif data is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._stderr)
        return bool(data)

    def _note_exit(self) -> None:
        self._exited = True
        self._selector.unregister(self._pidfd)

    def _drain(self, rounds: int = 64) -> None:
        while rounds and (self._read_stdout() | self._read_stderr()):
            rounds -= 1

    def _died(self) -> TargetDied:
        how = self.wait(_MOMENT) or "closed its standard output and went on running"
        begun = f" after {len(self._in)} bytes of an answer" if self._in else ""
        return TargetDied(f"{self.name}: {how}{begun}, asked to {self._asked}{self._stderr_clause()}", hint=_SMOKE)

    def _late(self) -> TargetTimeout:
        begun = f"; of its answer came {quoted(bytes(self._in[:1024]), 60)}" if self._in else ""
        return TargetTimeout(
            f"{self.name}: no answer within {self._seconds:g} s, asked to {self._asked}{begun}{self._stderr_clause()}",
            hint="an answer must be flushed and end with a newline",
        )

    def _stderr_clause(self) -> str:
        words = self.last_words()
        return f"; stderr: {words}" if words else ""


def _read(stream: IO[bytes]) -> bytes | None:
    """Return what is there, b"" at the end, None if nothing is there now."""
    try:
        return os.read(stream.fileno(), _CHUNK)
    except BlockingIOError:
        return None


def _why(error: Exception, program: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"no program {program!r}"
    return f"{program!r}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)


def _start_hint(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "a program in this folder is named ./PROGRAM"
    if isinstance(error, PermissionError):
        return "is it executable? `chmod +x` makes it so"
    if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        return "a script starts with a line #!/path/to/its/interpreter"
    return ""
