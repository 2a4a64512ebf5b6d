"""The target `exec:COMMAND`: any program that speaks the adapter protocol on its standard input and output.

The life of it: `open_exec` starts the program and reads who it is; `configure` and `run` ask it; a program that died
or hung is started again and told its configuration again; `close` ends it.
"""

from __future__ import annotations

import shlex
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from vnethash.spec.errors import ProtocolError, TargetDied, TargetError, TargetTimeout, UsageError
from vnethash.targets.base import Capabilities, Implementation, Refused, Result
from vnethash.targets.exec import framing, messages
from vnethash.targets.exec.isolation import isolate
from vnethash.targets.exec.messages import Unreadable, quoted
from vnethash.targets.exec.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from vnethash.spec.configuration import Configuration

_HINT = "docs/protocol.md says what an answer looks like"
_STDOUT_HINT = "standard output belongs to the protocol; whatever else it has to say goes to stderr"

#: Seconds until `configure` or `run` must be answered, and `start`, which may have to load much.
DEFAULT_TIMEOUT = 10.0
DEFAULT_START_TIMEOUT = 30.0

#: How many requests `run` are on their way beside the one whose answer is awaited.
_AHEAD = 1


def open_exec(
    argument: str,
    *,
    validate: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    start_timeout: float = DEFAULT_START_TIMEOUT,
    batch: int = 256,
) -> ExecTarget:
    """Start the program of `exec:ARGUMENT` and return it as a target.

    Args:
        argument: the command as a shell would read it; no shell runs it.
        validate: hold every answer against the schema, unknown fields included.
        timeout: seconds until `configure` or `run` must be answered.
        start_timeout: seconds until `start` must be answered.
        batch: frames in one `run`.
    """
    if batch < 1:
        raise UsageError(f"batch is {batch}; at least 1 frame goes into a batch")
    if timeout <= 0 or start_timeout <= 0:
        raise UsageError("a time limit is more than 0 seconds")
    return ExecTarget(argument, validate=validate, limits=Limits(start=start_timeout, answer=timeout, batch=batch))


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often we try.

    Attributes:
        start: seconds until `start` must be answered, starting the program included.
        answer: seconds until `configure` and `run` must be answered.
        stop: seconds until it must have ended after `stop`; then it is killed.
        batch: frames in one `run`.
        restarts: how often an adapter may die in one batch before the rest of the batch is passed over; a hang counts
            as four.
    """

    start: float = DEFAULT_START_TIMEOUT
    answer: float = DEFAULT_TIMEOUT
    stop: float = 1.0
    batch: int = 256
    restarts: int = 32


class ExecTarget:
    """A program behind the adapter protocol."""

    name: str
    implementation: Implementation
    capabilities: Capabilities
    notes: tuple[str, ...] = ()

    def __init__(
        self, command: str, *, validate: bool = False, limits: Limits | None = None, name: str = "",
        pass_fds: Sequence[int] = (),
    ) -> None:
        """The program inherits the descriptors `pass_fds` under their numbers."""
        self.name = name or f"exec:{command}"
        self._pass_fds = tuple(pass_fds)
        self._argv = _argv(command)
        self._validate = validate
        self._limits = limits or Limits()
        self.binary = False
        self._seq = 0
        self._configuration: Configuration | None = None
        self._process: Process | None = None
        self._closed = False
        answer = self._start()
        self.implementation = messages.to_implementation(answer.implementation)
        self.capabilities = messages.to_capabilities(answer.capabilities)
        self._observes = self.capabilities.observes if validate else None

    def configure(self, configuration: Configuration) -> None:
        """Apply a configuration; raises Refused when the adapter does not take it or cannot be asked."""
        self._running()
        self._configure(configuration)
        self._configuration = configuration

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        """Return what comes out for each frame."""
        if self._configuration is None:
            raise TargetError(f"{self.name}: asked to run frames before it took any configuration")
        batches = [frames[i : i + self._limits.batch] for i in range(0, len(frames), self._limits.batch)]
        results: list[Result] = []
        done = 0
        try:
            while done < len(batches):
                self._running()
                try:
                    for answered in self._stream(batches[done:]):
                        results += answered
                        done += 1
                except (TargetDied, TargetTimeout) as failure:
                    results += self._isolated(batches[done], failure)
                    done += 1
        except BaseException:
            self._drop()  # a request may be on its way, whose answer would be taken for that of the next
            raise
        return results

    def run_batch(self, frames: Sequence[bytes]) -> list[Result]:
        """Return the answer to one `run` of exactly these frames; whatever goes wrong is raised."""
        self._running()
        return self._results(self._send(frames), len(frames))

    def close(self) -> None:
        """Ask the adapter to end, and end it if it does not; may be called twice."""
        self._closed = True
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.send(messages.stop_line())
            process.expect("`stop`", self._limits.stop)
            messages.read_stop(process.line(), validate=self._validate)
            process.close_stdin()
            process.wait(self._limits.stop)
        except TargetError:
            pass  # what it makes of its end changes no verdict; `adapter smoke` looks at it
        finally:
            process.end()

    @property
    def pid(self) -> int:
        """The process number of the running adapter, 0 if none runs."""
        return self._process.pid if self._process is not None else 0

    def stderr(self) -> bytes:
        """Return the last 64 KiB that the running adapter wrote to its stderr."""
        return self._process.stderr() if self._process is not None else b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stream(self, batches: Sequence[Sequence[bytes]]) -> Iterator[list[Result]]:
        """Yield the results of each batch; the next request is sent before an answer is awaited."""
        seqs: deque[int] = deque()
        waiting = iter(batches)
        for batch in islice(waiting, _AHEAD):
            seqs.append(self._send(batch))
        for batch in batches:
            for following in islice(waiting, 1):
                seqs.append(self._send(following))
            yield self._results(seqs.popleft(), len(batch))

    def _isolated(self, frames: Sequence[bytes], failure: TargetDied | TargetTimeout) -> list[Result]:
        isolated = isolate(
            frames, failure, ask=self.run_batch, restart=self._running, most=self._limits.restarts,
            seconds=self._limits.answer,
        )  # fmt: skip
        self._note("it died or hung while running frames and was started again")
        if not isolated.blamed:
            self._note("it died or hung in a batch of frames but answered each of them when asked again")
        return isolated.results

    def _send(self, frames: Sequence[bytes]) -> int:
        assert self._process is not None
        seq = self._next_seq()
        self._process.send(framing.run_message(seq, frames) if self.binary else messages.run_line(seq, frames))
        return seq

    def _results(self, seq: int, count: int) -> list[Result]:
        with self._asking("run") as (process, heard):
            process.expect(f"`run` {count} frame{'s' if count != 1 else ''}", self._limits.answer)
            if self.binary and process.first_byte() == framing.RESULTS:
                heard.said = process.exactly(framing.HEADER.size)
                header = framing.read_header(heard.said)
                if header.seq != seq:
                    raise Unreadable(f"seq {header.seq} where {seq} was asked")
                if header.frames != count:
                    raise Unreadable(f"{header.frames} results for {count} frames")
                heard.said = process.exactly(header.size)
                return framing.read_results(header, heard.said, observes=self._observes)
            heard.said = process.line()
            answer = messages.read_run(heard.said, seq, count, observes=self._observes)
            if answer.error is not None:
                raise self._complaint("run", answer.error)
            if self.binary:
                raise Unreadable("JSON results where binary framing was agreed on")
            return messages.to_results(answer)

    def _start(self) -> messages.StartAnswer:
        self._process = Process(self.name, self._argv, self._pass_fds)
        with self._asking("start") as (process, heard):
            process.send(messages.start_line())
            process.expect("`start`", self._limits.start)
            heard.said = process.line()
            complaint = messages.complaint_in(heard.said)
            if complaint is not None:
                raise self._complaint("start", complaint)
            answer = messages.read_start(heard.said, validate=self._validate)
        self.binary = answer.framing == "binary"
        return answer

    def _configure(self, configuration: Configuration) -> None:
        seq = self._next_seq()
        with self._asking("configure") as (process, heard):
            process.send(messages.configure_line(seq, configuration))
            process.expect("`configure`", self._limits.answer)
            heard.said = process.line()
            answer = messages.read_configure(heard.said, seq, validate=self._validate)
            if answer.error is not None and answer.ok is None and answer.skipped is None:
                raise self._complaint("configure", answer.error)
        if answer.skipped is not None:
            raise Refused(answer.skipped, skipped=True)
        if not answer.ok:
            raise Refused(answer.error or "no reason given")

    @contextmanager
    def _asking(self, what: str) -> Iterator[tuple[Process, _Heard]]:
        """Drop the adapter unless its answer is read to the end, and say what it said if that was wrong."""
        assert self._process is not None
        heard = _Heard()
        try:
            yield self._process, heard
        except Unreadable as error:
            self._drop()
            said = f"; it said: {quoted(heard.said)}" if heard.said else ""
            raise ProtocolError(
                f"{self.name}: its answer to `{what}` is not of protocol version 1: {error.message}{said}",
                hint=_HINT if heard.said.lstrip()[:1] in (b"{", framing.RESULTS.to_bytes()) else _STDOUT_HINT,
            ) from None
        except BaseException:
            self._drop()
            raise

    def _complaint(self, what: str, words: str) -> TargetError:
        return TargetError(f"{self.name}: answered `{what}` with an error: {quoted(words, 300)}")

    def _running(self) -> None:
        """Start the adapter again if it is not there, and tell it its configuration."""
        if self._closed:
            raise TargetError(f"{self.name}: closed already")
        if self._process is not None:
            if not self._process.ended():
                return
            self._drop()
            self._note("it ended by itself after an answer and was started again")
        try:
            self._start()
            if self._configuration is not None:
                self._configure(self._configuration)
        except Refused as refused:
            self._drop()
            raise TargetError(
                f"{self.name}: started again, it refused a configuration that it had taken before: {refused.message}"
            ) from None
        except (TargetDied, TargetTimeout) as error:
            raise type(error)(f"{error.message} (when started again)", hint=error.hint) from None

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _next_seq(self) -> int:
        self._seq = (self._seq + 1) & 0xFFFFFFFF
        return self._seq

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes = (*self.notes, note)


class _Heard:
    """What an adapter said last."""

    said = b""


def _argv(command: str) -> list[str]:
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"exec:{command}: cannot be split into words: {error}") from None
    if not argv:
        raise UsageError("exec: names no command", hint="exec:COMMAND, for example exec:./my-adapter")
    return argv
