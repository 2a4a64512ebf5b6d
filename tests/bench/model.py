"""The model in CPython beside its compiled twin, over the frames of the default suite."""

from __future__ import annotations

from itertools import pairwise

from measure import Missing, Rate, best
from vnethash.conformance.suite import load_suite
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import VnethashError
from vnethash.spec.readings import Readings

COPIES = 20


def measure() -> tuple[str, list[Rate]]:
    """Return the rates in frames a second."""
    from vnethash.models.compiled import Compiled

    frames = [case.frame for case in load_suite("default").cases]
    data = b"".join(frames) * COPIES
    offsets = [0]
    for frame in frames * COPIES:
        offsets.append(offsets[-1] + len(frame))
    configuration, readings = Configuration(), Readings()
    try:
        twin = Compiled(configuration, readings)
    except VnethashError as error:
        raise Missing(error.line()) from None

    def copy() -> list[bytes]:
        return [data[begin:end] for begin, end in pairwise(offsets)]

    interpreted = best(lambda: [outcome(frame, configuration, readings) for frame in frames], len(frames))
    compiled = best(lambda: twin.run_packed(data, offsets), len(frames) * COPIES)
    lists = best(lambda: twin.outcomes(frames * COPIES), len(frames) * COPIES)
    return f"the model, {len(frames)} frames of the default suite", [
        Rate("CPython copies the bytes", best(copy, len(frames) * COPIES)),
        Rate("CPython runs the model", interpreted, "CPython copies the bytes"),
        Rate("compiled twin, packed", compiled, "CPython runs the model"),
        Rate("compiled twin, frame by frame", lists, "CPython runs the model"),
    ]
