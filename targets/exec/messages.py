"""The JSON messages of protocol version 1: their fields, and how both sides read and write them.

Reading is done twice over. Always: types and ranges, by msgspec, which passes over fields it does not know. In
validation mode also what the schema says beyond that: no unknown field, no null, one kind of result, nothing shown that
was not claimed. `protocol-1.schema.json` beside this module says the same for everyone else; a test holds the two
together.
"""

from __future__ import annotations

from itertools import starmap
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeGuard, TypeVar

import msgspec
from msgspec import Meta, Struct
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import Feature
from vnethash.spec.errors import FormatError, ProtocolError
from vnethash.spec.outcome import Observation
from vnethash.targets import base

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VERSION = 1
FRAMINGS = ("json", "binary")

Seq = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
U32 = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
Queue = Annotated[int, Meta(ge=-1, le=0xFFFF)]
Framing = Literal["json", "binary"]


class ImplementationInfo(Struct, frozen=True, omit_defaults=True):
    """Who answers; part of the answer to `start`."""

    name: Annotated[str, Meta(min_length=1)]
    version: str = ""
    language: str = ""
    homepage: str = ""


class CapabilitiesInfo(Struct, frozen=True):
    """What it can show and be told; part of the answer to `start`."""

    observes: list[Literal["queue", "report", "value"]]
    features: list[str] = msgspec.field(default_factory=lambda: ["RSS"])
    hash_types: U32 = 0x1FF
    tunnel_types: U32 = 0
    max_key_size: Annotated[int, Meta(ge=0, le=255)] = 40
    max_indirection_table_length: Annotated[int, Meta(ge=1, le=0x10000)] = 128
    queues: Annotated[int, Meta(ge=1, le=0x10000)] = 128


class StartAnswer(Struct, frozen=True, omit_defaults=True):
    """Answer to `start`."""

    version: int
    implementation: ImplementationInfo
    capabilities: CapabilitiesInfo
    framing: Framing = "json"


class ConfigureAnswer(Struct, frozen=True, omit_defaults=True):
    """Answer to `configure`."""

    seq: Seq | None = None
    ok: bool | None = None
    error: str | None = None
    skipped: str | None = None


class Result(Struct, frozen=True, omit_defaults=True, gc=False):
    """What came out for one frame."""

    report: U16 | None = None
    value: U32 | None = None
    queue: Queue | None = None
    skipped: str | None = None
    error: str | None = None


class RunAnswer(Struct, frozen=True, omit_defaults=True):
    """Answer to `run`; with `error` alone it is the answer to any request that could not be read."""

    seq: Seq | None = None
    results: list[Result] | None = None
    error: str | None = None


class StopAnswer(Struct, frozen=True):
    """Answer to `stop`."""


class Config(Struct, frozen=True):
    """What the driver negotiated and sent; part of `configure`."""

    features: list[str]
    hash_types: U32
    key: str
    indirection_table: list[U16]
    unclassified_queue: U16
    max_tx_vq: U16
    tunnel_types: U32


class Start(Struct, frozen=True, tag_field="cmd", tag="start"):
    """Request to say who answers."""

    version: int


class Configure(Struct, frozen=True, tag_field="cmd", tag="configure"):
    """Request to take a configuration."""

    seq: Seq
    config: Config


class Run(Struct, frozen=True, tag_field="cmd", tag="run"):
    """Request to say what comes out for each frame, given in hex."""

    seq: Seq
    packets: list[str]


class Stop(Struct, frozen=True, tag_field="cmd", tag="stop"):
    """Request to end."""


Request = Start | Configure | Run | Stop

_NESTED: dict[str, type[Struct]] = {
    "implementation": ImplementationInfo,
    "capabilities": CapabilitiesInfo,
    "config": Config,
    "results": Result,
}
_OUTCOME = ("report", "value", "queue")
_OBSERVATIONS = list[Observation]
_outcome_of = attrgetter(*_OUTCOME)
_SHORTEST_QUOTE = 160

_A = TypeVar("_A", StartAnswer, ConfigureAnswer, RunAnswer)
_start_answer = msgspec.json.Decoder(StartAnswer)
_configure_answer = msgspec.json.Decoder(ConfigureAnswer)
_run_answer = msgspec.json.Decoder(RunAnswer)
_request: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_encoder = msgspec.json.Encoder()


class Unreadable(ProtocolError):  # noqa: N818 - an adjective, as its siblings
    """A message does not have the form it should have; `message` says where."""


def quoted(data: bytes | str, limit: int = _SHORTEST_QUOTE) -> str:
    """Return what came in quotes, trimmed to about `limit` characters, control characters escaped."""
    text = data[: 4 * limit].decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text.strip())
    size = f" (of {len(data)} bytes)" if isinstance(data, bytes) else ""
    return f"'{text}'" if len(text) <= limit else f"'{text[: limit - 1]}…'{size}"


# --- requests, as the client writes them -----------------------------------------------------------------------------


def start_line() -> bytes:
    """Return the request `start`."""
    return b'{"cmd":"start","version":%d}\n' % VERSION


def configure_line(seq: int, configuration: Configuration) -> bytes:
    """Return the request `configure`."""
    return _encoder.encode({"cmd": "configure", "seq": seq, "config": configuration.to_json()}) + b"\n"


def run_line(seq: int, frames: Sequence[bytes]) -> bytes:
    """Return the request `run` in JSON; put together by hand because this is the one that must be fast."""
    packets = '","'.join(map(bytes.hex, frames))
    return b'{"cmd":"run","seq":%d,"packets":[%s]}\n' % (seq, f'"{packets}"'.encode() if frames else b"")


def stop_line() -> bytes:
    """Return the request `stop`."""
    return b'{"cmd":"stop"}\n'


# --- answers, as the client reads them -------------------------------------------------------------------------------


def read_start(line: bytes, *, validate: bool = False) -> StartAnswer:
    """Return the answer to `start`; raises Unreadable, for another version before anything else."""
    try:
        version = msgspec.json.decode(line, type=dict[str, Any]).get("version", VERSION)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None
    if version != VERSION:
        raise Unreadable(f"it speaks protocol version {version!r}, this runner speaks version {VERSION}")
    answer = _decoded(_start_answer, line)
    if validate:
        _strict(line, StartAnswer)
        unknown = sorted(set(answer.capabilities.features) - {feature.name for feature in Feature})
        if unknown:
            raise Unreadable(f"capabilities.features: {unknown[0]!r} is not a feature of the hashing text")
        _given_once(answer.capabilities.observes, "capabilities.observes")
        _given_once(answer.capabilities.features, "capabilities.features")
    if not answer.capabilities.observes:
        raise Unreadable('capabilities.observes is empty: a target shows at least one of "queue", "report", "value"')
    return answer


def complaint_in(line: bytes) -> str | None:
    """Return the words of an answer that is an error and nothing else, None for any other."""
    try:
        answer = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    error = answer.get("error")
    return error if isinstance(error, str) and not set(answer) - {"error", "seq"} else None


def read_configure(line: bytes, seq: int, *, validate: bool = False) -> ConfigureAnswer:
    """Return the answer to `configure`; raises Unreadable."""
    answer = _decoded(_configure_answer, line)
    if validate:
        _strict(line, ConfigureAnswer)
        if not (answer.ok is None and answer.skipped is None and answer.error is not None):
            given = (answer.ok is True, answer.ok is False, answer.skipped is not None)
            if sum(given) != 1 or (answer.error is not None) != (answer.ok is False):
                raise Unreadable('neither "ok":true, nor "ok":false with "error", nor "skipped" alone')
    if answer.error is None or answer.ok is not None:
        _same_seq(answer.seq, seq)
        if answer.ok is None and answer.skipped is None:
            raise Unreadable('neither "ok" nor "skipped"')
    return answer


def read_run(line: bytes, seq: int, count: int, *, observes: frozenset[str] | None = None) -> RunAnswer:
    """Return the answer to `run` of `count` frames; `observes` (what was claimed) turns validation on."""
    answer = _decoded(_run_answer, line)
    if observes is not None:
        raw = _strict(line, RunAnswer)
        for index, result in enumerate(raw.get("results", ())):
            one_kind(result, f"results[{index}]", observes)
        if answer.error is not None and answer.results is not None:
            raise Unreadable('both "results" and "error"')
    if answer.error is None:
        _same_seq(answer.seq, seq)
        if answer.results is None:
            raise Unreadable('neither "results" nor "error"')
        if len(answer.results) != count:
            raise Unreadable(f"{len(answer.results)} results for {count} frames")
    return answer


def read_stop(line: bytes, *, validate: bool = False) -> None:
    """Check the answer to `stop`; raises Unreadable."""
    try:
        msgspec.json.decode(line, type=StopAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None
    if validate:
        _strict(line, StopAnswer)


def to_results(answer: RunAnswer) -> list[base.Result]:
    """Return the results of a batch as the rest of the toolkit knows them."""
    results = answer.results or []
    if not [r for r in results if r.error is not None or r.skipped is not None]:
        return observations(map(_outcome_of, results))
    return [
        base.Errored(r.error) if r.error is not None
        else base.Skipped(r.skipped) if r.skipped is not None
        else Observation(r.report, r.value, r.queue)
        for r in results
    ]  # fmt: skip


def one_kind(result: dict[str, Any], path: str, observes: frozenset[str]) -> None:
    """Check that a result is one of outcome, skipped and error, and shows only what was claimed."""
    shown = [name for name in _OUTCOME if name in result]
    if bool(shown) + ("skipped" in result) + ("error" in result) > 1:
        raise Unreadable(f"{path}: more than one of outcome, skipped and error")
    unclaimed = [name for name in shown if name not in observes]
    if unclaimed:
        raise Unreadable(f"{path}: shows {unclaimed[0]!r}, which capabilities.observes does not name")


# --- the same from the side of the adapter ---------------------------------------------------------------------------


def read_request(line: bytes, *, validate: bool = False) -> Request:
    """Return a request; raises Unreadable."""
    request = _decoded(_request, line)
    if validate:
        _strict(line, type(request))
        if isinstance(request, Configure):
            _given_once(request.config.features, "config.features")
    return request


def seq_of(line: bytes) -> int | None:
    """Return the seq of a request that could otherwise not be read, None where it has none."""
    try:
        return msgspec.json.decode(line, type=ConfigureAnswer).seq
    except (msgspec.MsgspecError, UnicodeDecodeError):
        try:
            seq = msgspec.json.decode(line).get("seq")
        except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError):
            return None
        return seq if isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq <= 0xFFFFFFFF else None


def to_configuration(config: Config) -> Configuration:
    """Return the configuration of a request; raises FormatError."""
    return Configuration.from_json(msgspec.to_builtins(config), where="config")


def unhexed(packets: list[str]) -> list[bytes]:
    """Return the frames of `run`; raises FormatError that names the first that is not hex."""
    try:
        return list(map(bytes.fromhex, packets))
    except ValueError:
        index = next(i for i, packet in enumerate(packets) if not _is_hex(packet))
        raise FormatError(
            f"packets[{index}]: not an even number of hex digits: {quoted(packets[index], 40)}"
        ) from None


def start_answer(target: base.Target, framing: Framing) -> bytes:
    """Return the answer to `start` on behalf of a target."""
    who, can = target.implementation, target.capabilities
    observes: list[Any] = sorted(can.observes)
    answer = StartAnswer(
        version=VERSION,
        implementation=ImplementationInfo(who.name, who.version, who.language, who.homepage),
        capabilities=CapabilitiesInfo(
            observes=observes,
            features=sorted(can.features),
            hash_types=can.hash_types,
            tunnel_types=can.tunnel_types,
            max_key_size=can.max_key_size,
            max_indirection_table_length=can.max_indirection_table_length,
            queues=can.queues,
        ),
        framing=framing,
    )
    return _encoder.encode(answer) + b"\n"


def configure_answer(seq: int, *, error: str | None = None, skipped: str | None = None) -> bytes:
    """Return the answer to `configure`: taken, refused with an error, or skipped."""
    ok = None if skipped is not None else error is None
    return _encoder.encode(ConfigureAnswer(seq, ok, error, skipped)) + b"\n"


def run_answer(seq: int, results: Sequence[base.Result]) -> bytes:
    """Return the answer to `run`."""
    if only_observations(results):
        return _encoder.encode(RunAnswer(seq, list(starmap(Result, results)))) + b"\n"
    return _encoder.encode(RunAnswer(seq, list(map(_to_message, results)))) + b"\n"


def outcomes_answer(
    seq: int, count: int, reports: list[int] | None, values: list[int] | None, queues: list[int] | None
) -> bytes:
    """Return the answer to `run` from columns; a column that is None is not shown."""
    nothing = [None] * count
    return _encoder.encode(
        RunAnswer(seq, list(map(Result, reports or nothing, values or nothing, queues or nothing)))
    ) + b"\n"  # fmt: skip


def error_answer(message: str, seq: int | None = None) -> bytes:
    """Return the answer to a request that could not be read or carried out."""
    return _encoder.encode(RunAnswer(seq, error=message)) + b"\n"


def observations(outcomes: Iterable[tuple[int | None, ...]]) -> list[base.Result]:
    """Return observations from triples, without the detour through Python that their own constructor takes."""
    made: list[base.Result] = msgspec.convert(list(outcomes), _OBSERVATIONS)
    return made


def only_observations(results: Sequence[base.Result]) -> TypeGuard[Sequence[Observation]]:
    """Tell whether a batch can take the fast path."""
    return set(map(type, results)) <= {Observation}


def words_of(result: base.Result) -> tuple[str | None, str | None]:
    """Return (skipped, error) of a result that is not an observation."""
    if isinstance(result, base.Skipped):
        return result.reason, None
    if isinstance(result, base.Errored):
        return None, result.message
    assert isinstance(result, base.TimedOut)
    return None, f"no answer within {result.seconds:g} s"


def _to_message(result: base.Result) -> Result:
    if isinstance(result, Observation):
        return Result(result[0], result[1], result[2])
    skipped, error = words_of(result)
    return Result(skipped=skipped, error=error)


def to_implementation(info: ImplementationInfo) -> base.Implementation:
    """Return who is under test."""
    return base.Implementation(info.name, info.version, info.language, info.homepage)


def to_capabilities(info: CapabilitiesInfo) -> base.Capabilities:
    """Return what the target can show and be told."""
    return base.Capabilities(
        observes=frozenset(info.observes),
        features=frozenset(info.features),
        hash_types=info.hash_types,
        tunnel_types=info.tunnel_types,
        max_key_size=info.max_key_size,
        max_indirection_table_length=info.max_indirection_table_length,
        queues=info.queues,
    )


def _is_hex(packet: str) -> bool:
    try:
        bytes.fromhex(packet)
    except ValueError:
        return False
    return True


# --- reading ---------------------------------------------------------------------------------------------------------

_T = TypeVar("_T")


def _decoded(decoder: msgspec.json.Decoder[_T], line: bytes) -> _T:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None


def _same_seq(came: int | None, asked: int) -> None:
    if came is None:
        raise Unreadable(f'no "seq" where {asked} was asked')
    if came != asked:
        raise Unreadable(f"seq {came} where {asked} was asked")


def _given_once(items: Sequence[str], path: str) -> None:
    if len(set(items)) != len(items):
        raise Unreadable(f"{path}: an entry is given twice")


def _strict(line: bytes, kind: type[Struct]) -> dict[str, Any]:
    try:
        line.decode()
        raw: dict[str, Any] = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None
    _known_fields(raw, kind, "")
    return raw


def _known_fields(value: Any, kind: type[Struct], path: str) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _known_fields(item, kind, f"{path}[{index}]")
        return
    tag_field = kind.__struct_config__.tag_field
    for name, item in value.items():
        inner = f"{path}.{name}" if path else name
        if name not in kind.__struct_fields__ and name != tag_field:
            raise Unreadable(f"unknown field {inner}")
        if item is None:
            raise Unreadable(f"{inner}: null; a field with nothing to say is left out")
        if name in _NESTED:
            _known_fields(item, _NESTED[name], inner)
