"""Gives the wrong answer that its argument names."""

import copy
import os
import subprocess
import sys
import time

from speak import START, outcome, speak

FAULT = sys.argv[1]


def results(request):
    return [outcome(bytes.fromhex(packet)) for packet in request["packets"]]


def spoiled(**fields):
    """Run, with the first result replaced."""
    return {"run": lambda request: {"seq": request["seq"], "results": [fields, *results(request)[1:]]}}


def answered(change):
    return {"run": lambda request: change({"seq": request["seq"], "results": results(request)})}


def started(**fields):
    return {"start": {**copy.deepcopy(START), **fields}}


def raw(data, then=None):
    """Run, with bytes that are no answer."""

    def run(_):
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        if then is not None:
            then()

    return {"run": run}


def close_stdout():
    os.close(1)
    time.sleep(600)


def leave_heir():
    """Die while a child holds stdout open."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stderr=subprocess.DEVNULL)
    os._exit(5)


def slowly(request):
    for byte in f'{{"seq":{request["seq"]},"results":[{{"value":7}}]}}\n'.encode():
        os.write(1, bytes([byte]))
        time.sleep(0.002)


def hang(_):
    time.sleep(600)


def hang_at_second_start(request):
    flag = sys.argv[2]
    if os.path.exists(flag):  # noqa: PTH110
        time.sleep(600)
    with open(flag, "w"):  # noqa: PTH123
        return START


FAULTS = {
    "wrong-seq": lambda: answered(lambda answer: {**answer, "seq": answer["seq"] + 1}),
    "no-seq": lambda: answered(lambda answer: {"results": answer["results"]}),
    "too-few": lambda: answered(lambda answer: {**answer, "results": answer["results"][1:]}),
    "too-many": lambda: answered(lambda answer: {**answer, "results": answer["results"] * 2}),
    "no-results": lambda: answered(lambda answer: {"seq": answer["seq"]}),
    "unknown-field": lambda: answered(lambda answer: {**answer, "colour": "blue"}),
    "unknown-field-in-result": lambda: spoiled(value=1, colour="blue"),
    "null": lambda: spoiled(value=1, queue=None),
    "unclaimed": lambda: spoiled(value=1, report=2),
    "two-kinds": lambda: spoiled(value=1, skipped="no"),
    "type": lambda: spoiled(value="0x51ccc178"),
    "fraction": lambda: spoiled(value=1.5),
    "boolean": lambda: spoiled(value=True),
    "value-range": lambda: spoiled(value=1 << 32),
    "queue-range": lambda: spoiled(queue=-2),
    "report-range": lambda: spoiled(report=65536),
    "error-object": lambda: answered(lambda answer: {"seq": answer["seq"], "error": "out of memory"}),
    "list": lambda: answered(lambda answer: answer["results"]),
    "rubbish": lambda: raw(b"Segmentation fault\n"),
    "not-utf8": lambda: raw(b"\xff\xfe\x00{}\n"),
    "empty-line": lambda: raw(b"\n"),
    "long-line": lambda: raw(b"[" * (17 << 20), close_stdout),
    "dies-in-answer": lambda: raw(b'{"seq":2,"resu', lambda: os._exit(5)),
    "hangs-in-answer": lambda: raw(b'{"seq":2,"resu', lambda: time.sleep(600)),
    "dies-with-heir": lambda: raw(b"", leave_heir),
    "answers-and-dies-with-heir": lambda: raw(b'{"seq":2,"results":[{"value":7}]}\n', leave_heir),
    "closes-stdout": lambda: raw(b"", close_stdout),
    "slowly": lambda: {"run": slowly},
    "version": lambda: started(version=2),
    "no-version": lambda: {"start": {name: START[name] for name in ("implementation", "capabilities")}},
    "no-name": lambda: started(implementation={"version": "1"}),
    "no-capabilities": lambda: {"start": {name: START[name] for name in ("implementation", "version")}},
    "observes-nothing": lambda: started(capabilities={"observes": []}),
    "observes-unknown": lambda: started(capabilities={"observes": ["colour"]}),
    "observes-twice": lambda: started(capabilities={"observes": ["value", "value"]}),
    "feature-unknown": lambda: started(capabilities={"observes": ["value"], "features": ["FLIGHT"]}),
    "start-unknown-field": lambda: started(colour="blue"),
    "framing-unknown": lambda: started(framing="morse"),
    "start-error": lambda: {"start": {"error": "needs root"}},
    "start-rubbish": lambda: {"start": lambda _: print("Starting up...")},
    "start-dies": lambda: {"start": lambda _: sys.exit("no device")},
    "start-hangs": lambda: {"start": hang},
    "start-again-hangs": lambda: {"start": hang_at_second_start, **raw(b"", lambda: os._exit(5))},
    "refuses": lambda: {"configure": lambda r: {"seq": r["seq"], "ok": False, "error": "key too long"}},
    "refuses-without-reason": lambda: {"configure": lambda r: {"seq": r["seq"], "ok": False}},
    "skips": lambda: {"configure": lambda r: {"seq": r["seq"], "skipped": "no tunnels here"}},
    "ok-and-error": lambda: {"configure": lambda r: {"seq": r["seq"], "ok": True, "error": "but"}},
    "configure-nothing": lambda: {"configure": lambda r: {"seq": r["seq"]}},
    "configure-error": lambda: {"configure": lambda r: {"seq": r["seq"], "error": "out of memory"}},
    "configure-seq": lambda: {"configure": lambda _: {"seq": 77, "ok": True}},
    "configure-dies": lambda: {"configure": lambda _: sys.exit("bad config")},
    "configure-hangs": lambda: {"configure": hang},
    "ignores-stop": lambda: {"stop": lambda: time.sleep(600)},
    "changes-its-mind": lambda: answered(lambda answer: {**answer, "results": [{"value": answer["seq"]}] * 3}),
    "shows-nothing": spoiled,
}  # fmt: skip

if __name__ == "__main__":
    speak(**FAULTS[FAULT]())
