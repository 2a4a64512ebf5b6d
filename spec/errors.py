"""Every error a user can meet, with its hint and the exit code that follows from it.

    VnethashError                  exit 4   (a fault of the tool itself unless a child class says otherwise)
    ├── UsageError                 exit 2   the command line, or a file it names, is wrong
    │   └── FormatError            exit 2   a file or a line does not have the form it should have
    └── TargetError                exit 3   the target could not be driven
        ├── TargetUnavailable      exit 3   what the target needs is not on this machine: `skipped: REASON`
        ├── TargetDied             exit 3   it ended, or would not start
        ├── TargetTimeout          exit 3   no answer within the limit
        └── ProtocolError          exit 3   it answered, but not in protocol version 1

Exit 0 is "conforms, or all as expected", exit 1 is "deviations"; neither is an error.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_DEVIATIONS = 1
EXIT_USAGE = 2
EXIT_TARGET = 3
EXIT_TOOL = 4


class VnethashError(Exception):
    """Root of all errors; `message` says what is wrong and where, `hint` what to do."""

    exit_code = EXIT_TOOL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def line(self) -> str:
        """Return the one line that a user sees."""
        words = f"{self.message} ({self.hint})" if self.hint else self.message
        return " ".join(words.splitlines())  # what a user or a target said may have several


class UsageError(VnethashError):
    """The command line, or a file it names, is wrong."""

    exit_code = EXIT_USAGE


class FormatError(UsageError):
    """A file or a line does not have the form it should have."""


class TargetError(VnethashError):
    """The target could not be driven."""

    exit_code = EXIT_TARGET


class TargetUnavailable(TargetError):  # noqa: N818 - the verdict's own word
    """What the target needs is not on this machine."""


class TargetDied(TargetError):  # noqa: N818
    """The target ended, or would not start."""


class TargetTimeout(TargetError):  # noqa: N818
    """The target gave no answer within its limit."""


class ProtocolError(TargetError):
    """The target answered, but not in protocol version 1."""
