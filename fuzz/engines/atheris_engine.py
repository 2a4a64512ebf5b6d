"""atheris as an engine: libFuzzer, guided by the branches of the Python model, with our mutator beside its own.

libFuzzer ends the process it runs in. So it gets a child, forked from the campaign, and the parent goes on with what
the child put into the ledger and the corpus; cause counts of the child are the ledger's. What libFuzzer keeps for
itself lies in a hidden folder of the corpus, so that it outlasts whatever ends the two.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
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
_FOLDER = ".atheris-"
_PR_SET_PDEATHSIG = 1
#: What the parent sends for "end in order"; libFuzzer is told to leave it alone.
_STOP = signal.SIGUSR1
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
        rest: puts what `put` still holds back.
    """

    modules: Sequence[str]
    words: Sequence[bytes]
    put: Callable[[bytes], None]
    mutate: Callable[[Random, bytes], bytes]
    begin: Callable[[], None] = lambda: None
    rest: Callable[[], None] = lambda: None


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
            rest()

    def rest() -> None:
        nonlocal count
        for configuration, frames in waiting.items():
            for index in campaign.execute(configuration, frames):
                campaign.keep(Case(configuration, (frames[index],)))
        waiting.clear()
        count = 0

    def mutate(rng: Random, data: bytes) -> bytes:
        case = decode(data)
        frame = children(rng, Layout(case.frame), 1, [])[0]
        return encode(Case(case.configuration, (*case.frames[:-1], frame)))

    drive(campaign, Guide(_GUIDING, dictionary(), put, mutate, rest=rest))


def drive(campaign: Run[Any, Any, Any], guide: Guide) -> None:
    """Let libFuzzer drive a campaign until it is over.

    Raises TargetUnavailable where atheris is missing, VnethashError where libFuzzer came to a bad end.
    """
    try:
        import atheris  # noqa: PLC0415
    except ImportError as error:
        raise TargetUnavailable("engine atheris needs atheris", hint="pip install 'vnethash[fuzz]'") from error
    with tempfile.TemporaryDirectory(prefix="vnethash-") as name:
        folder = Path(name)
        corpus = _corpus(campaign, folder)
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            _child(campaign, guide, atheris, (folder, corpus), parent)
        interrupted = False
        while True:
            try:
                _, status = os.waitpid(child, 0)
                break
            except KeyboardInterrupt:
                os.kill(child, signal.SIGKILL if interrupted else _STOP)
                interrupted = True
        _count(campaign, folder / "totals")
        _take(campaign, corpus)
        code = os.waitstatus_to_exitcode(status)
        if interrupted:
            raise KeyboardInterrupt
        if code != 0:
            how = f"by signal {-code}" if code < 0 else f"with status {code}: {_last_words(folder / 'stderr')}"
            raise VnethashError(f"engine atheris: libFuzzer ended {how}")


def _corpus(campaign: Run[Any, Any, Any], folder: Path) -> Path:
    """Return libFuzzer's folder, after taking in what was left in those of processes that were killed."""
    home = campaign.corpus.folder
    if home is None:
        return folder / "corpus"
    for old in sorted(home.glob(f"{_FOLDER}*")):
        if not Path("/proc", old.name.removeprefix(_FOLDER)).exists():
            _take(campaign, old)
    return Path(home, f"{_FOLDER}{os.getpid()}")


def _take(campaign: Run[Any, Any, Any], folder: Path) -> None:
    """Take the files of a folder into the corpus, and remove it."""
    for path in sorted(folder.glob("*")):
        with suppress(OSError):
            campaign.keep(campaign.corpus.decode(path.read_bytes()))
    shutil.rmtree(folder, ignore_errors=True)


def _count(campaign: Run[Any, Any, Any], path: Path) -> None:
    """Add what the child counted."""
    if path.is_file():
        for name, number in json.loads(path.read_text("ascii")).items():
            setattr(campaign.totals, name, getattr(campaign.totals, name) + number)


def _last_words(path: Path) -> str:
    """Return the line of libFuzzer's output that says what was wrong."""
    lines = [line for line in path.read_text("utf-8", "replace").splitlines() if line.strip()] if path.exists() else []
    return next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else "it said nothing")


def _child(
    campaign: Run[Any, Any, Any], guide: Guide, atheris: ModuleType, folders: tuple[Path, Path], parent: int
) -> None:
    """Run libFuzzer; does not return."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() == parent:
            _fuzz(campaign, guide, atheris, *folders)
    except BaseException:  # nothing of the parent may go on in the child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(1)


def _fuzz(campaign: Run[Any, Any, Any], guide: Guide, atheris: ModuleType, folder: Path, corpus: Path) -> None:
    for name in guide.modules:
        module = importlib.import_module(f"vnethash.models.{name}")
        for attribute, value in list(vars(module).items()):
            if getattr(value, "__module__", "") == module.__name__ and hasattr(value, "__code__"):
                value.__code__ = atheris.instrument_func(value).__code__
                del attribute
    guide.begin()
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(_STOP, stop)
    with suppress(OSError):  # a full disk: the campaign's own corpus has said so
        corpus.mkdir(exist_ok=True)
    if not corpus.is_dir():
        corpus = folder / "corpus"
        corpus.mkdir()
    for case in campaign.corpus.cases:
        (corpus / case.name).write_bytes(campaign.corpus.encode(case))
    words = folder / "dictionary"
    words.write_text("".join(f'"{_escaped(piece)}"\n' for piece in guide.words), "ascii")
    totals = campaign.totals
    before = {name: getattr(totals, name) for name in ("executions", "new", "known", "regressions")}

    def finish() -> None:
        guide.rest()
        campaign.settle(last=True)
        campaign.finish()
        counted = {name: getattr(totals, name) - number for name, number in before.items()}
        (folder / "totals").write_text(json.dumps(counted), "ascii")
        sys.stdout.flush()
        os._exit(0)

    def one(data: bytes) -> None:
        guide.put(data)
        if stopping or campaign.over():
            finish()

    rng = Random(campaign.seed)  # noqa: S311 - chance, not secrecy

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        try:
            if seed & 1:
                return bytes(atheris.Mutate(data, most))
            return guide.mutate(rng, data)[:most]
        except Exception:  # an exception in a mutator would hang libFuzzer
            return bytes(atheris.Mutate(data, most))

    errors = os.open(folder / "stderr", os.O_WRONLY | os.O_CREAT)
    os.dup2(errors, 2)
    atheris.Setup(
        [
            "vnethash", f"-seed={campaign.seed % 0x7FFFFFFF + 1}", f"-max_len={_LONGEST}", f"-dict={words}",
            "-handle_int=0", "-handle_usr1=0", str(corpus),
        ],
        one, custom_mutator=mutate, internal_libfuzzer=True,
    )  # fmt: skip
    atheris.Fuzz()


def _escaped(piece: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in piece)
