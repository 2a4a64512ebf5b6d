"""What drives a campaign: each engine decides which cases come next, and hears what they reached.

An engine is a function `run(campaign)` that returns when `campaign.over()`. It puts frames to the targets by
`campaign.execute`, and never sees an answer: judging, reducing and recording are the campaign's.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vnethash.spec.errors import TargetUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.fuzz.run import Run

#: Name -> (module, what it is, the library that it cannot do without).
ENGINES = {
    "builtin": ("builtin", "structure-aware mutation in batches; the fastest here", ""),
    "atheris": ("atheris_engine", "libFuzzer with the coverage of the Python model; needs atheris", "atheris"),
    "hypothesis": ("hypothesis_engine", "Hypothesis' strategies and its database; needs hypothesis", "hypothesis"),
}


def load_engine(name: str, *, control: bool = False) -> Callable[[Run[Any, Any, Any]], None]:
    """Return an engine for frames, or for sequences of steps if `control`.

    Raises UsageError for a name that is none, TargetUnavailable where its library is missing.
    """
    if name not in ENGINES:
        raise UsageError(f"no engine {name!r}", hint=f"there are {', '.join(ENGINES)}")
    package = "vnethash.fuzz.device.engines" if control else "vnethash.fuzz.engines"
    place, _, library = ENGINES[name]
    if library and find_spec(library) is None:
        raise TargetUnavailable(f"engine {name} needs {library}", hint="pip install 'vnethash[fuzz]'")
    module = importlib.import_module(f"{package}.{place}")
    run: Callable[[Run[Any, Any, Any]], None] = module.run
    return run
