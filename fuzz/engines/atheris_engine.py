"""atheris as an engine: libFuzzer, guided by the branches of the Python model, with our mutator beside its own.

libFuzzer ends the process it runs in. So it gets a child, forked from the campaign, and the parent goes on with what
the child put into the ledger and the corpus; cause counts of the child are the ledger's.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from vnethash.fuzz.case import Case, decode, encode
from vnethash.fuzz.mutation import Layout, children, dictionary
from vnethash.fuzz.oracle import reached
from vnethash.spec.errors import TargetUnavailable, VnethashError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from vnethash.fuzz.campaign import Campaign
    from vnethash.fuzz.run import Run
    from vnethash.spec.configuration import Configuration

#: Modules of the model whose branches guide the search; the hash is left out, which is all loops.
_GUIDING = ("link", "ipv4", "ipv6", "chain", "options", "transport", "tunnel", "select", "reference")
_LONGEST = 2048
#: Frames that are put to the targets together, at most.
_TOGETHER = 512


class Guide(NamedTuple):
    """What libFuzzer needs to know of a campaign.

    Attributes:
        modules: those of the model whose branches guide the search, below `vnethash.models`.
        words: pieces of bytes that are worth to be put in.
        put: takes the bytes of a case, and puts it to the targets.
        mutate: takes chance and the bytes of a case, and returns those of another.
        begin: what is to be done first in the process of libFuzzer.
    """

    modules: Sequence[str]
    words: Sequence[bytes]
    put: Callable[[bytes], None]
    mutate: Callable[[Random, bytes], bytes]
    begin: Callable[[], None] = lambda: None


def run(campaign: Campaign) -> None:
    """Fuzz with frames until the campaign is over; raises TargetUnavailable where atheris is missing."""

    waiting: dict[Configuration, list[bytes]] = {}
    count = 0

    def put(data: bytes) -> None:
        nonlocal count
        case = decode(data)
        for subject in campaign.subjects:
            reached(case.frame, case.configuration, subject.readings)
        # What a target answers does not guide, so that it may answer many frames at once, later.
        waiting.setdefault(case.configuration, []).extend(case.frames)
        count += len(case.frames)
        if count >= campaign.room(_TOGETHER):
            for configuration, frames in waiting.items():
                campaign.execute(configuration, frames)
            waiting.clear()
            count = 0

    def mutate(rng: Random, data: bytes) -> bytes:
        case = decode(data)
        frame = children(rng, Layout(case.frame), 1, [])[0]
        return encode(Case(case.configuration, (*case.frames[:-1], frame)))

    drive(campaign, Guide(_GUIDING, dictionary(), put, mutate))


def drive(campaign: Run[Any, Any, Any], guide: Guide) -> None:
    """Let libFuzzer drive a campaign until it is over; raises TargetUnavailable where atheris is missing."""
    try:
        import atheris  # noqa: PLC0415
    except ImportError as error:
        raise TargetUnavailable("engine atheris needs atheris", hint="pip install 'vnethash[fuzz]'") from error
    with tempfile.TemporaryDirectory(prefix="vnethash-") as folder:
        child = os.fork()
        if child == 0:
            _child(campaign, guide, atheris, Path(folder))
        _, status = os.waitpid(child, 0)
        executions = _read(Path(folder) / "executions")
        campaign.totals.executions += executions
        for path in sorted(Path(folder, "corpus").glob("*")):
            campaign.keep(campaign.corpus.decode(path.read_bytes()))
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            raise VnethashError(f"engine atheris: libFuzzer ended by signal {-code}")


def _read(path: Path) -> int:
    return int(path.read_text("ascii")) if path.is_file() else 0


def _child(campaign: Run[Any, Any, Any], guide: Guide, atheris: ModuleType, folder: Path) -> None:
    """Run libFuzzer; does not return."""
    try:
        _fuzz(campaign, guide, atheris, folder)
    except BaseException:  # nothing of the parent may go on in the child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(0)


def _fuzz(campaign: Run[Any, Any, Any], guide: Guide, atheris: ModuleType, folder: Path) -> None:
    for name in guide.modules:
        module = importlib.import_module(f"vnethash.models.{name}")
        for attribute, value in list(vars(module).items()):
            if getattr(value, "__module__", "") == module.__name__ and hasattr(value, "__code__"):
                value.__code__ = atheris.instrument_func(value).__code__
                del attribute
    guide.begin()
    corpus = folder / "corpus"
    corpus.mkdir()
    for case in campaign.corpus.cases:
        (corpus / case.name).write_bytes(campaign.corpus.encode(case))
    words = folder / "dictionary"
    words.write_text("".join(f'"{_escaped(piece)}"\n' for piece in guide.words), "ascii")
    before = campaign.totals.executions

    def finish() -> None:
        campaign.settle(last=True)
        campaign.finish()
        (folder / "executions").write_text(str(campaign.totals.executions - before), "ascii")
        sys.stdout.flush()
        os._exit(0)

    def one(data: bytes) -> None:
        guide.put(data)
        if campaign.over():
            finish()

    rng = Random(campaign.seed)  # noqa: S311 - chance, not secrecy

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        try:
            if seed & 1:
                return bytes(atheris.Mutate(data, most))
            return guide.mutate(rng, data)[:most]
        except Exception:  # an exception in a mutator would hang libFuzzer
            return bytes(atheris.Mutate(data, most))

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    atheris.Setup(
        ["vnethash", f"-seed={campaign.seed % 0x7FFFFFFF + 1}", f"-max_len={_LONGEST}", f"-dict={words}", str(corpus)],
        one, custom_mutator=mutate, internal_libfuzzer=True,
    )
    try:
        atheris.Fuzz()
    finally:
        finish()


def _escaped(piece: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in piece)
