"""A well-behaved adapter in a few lines, for the others here to spoil."""

import json
import sys

START = {
    "version": 1,
    "implementation": {"name": "test", "version": "1"},
    "capabilities": {"observes": ["queue", "value"]},
}


def outcome(frame):
    """Answer its length and its last byte."""
    return {"value": len(frame), "queue": frame[-1] if frame else 0}


def say(answer):
    """Write one answer."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def speak(start=START, configure=None, run=None, stop=None, result=outcome):
    """Answer until `stop`; a command is spoiled by a function from the request to what is said instead, if anything."""
    for line in sys.stdin:
        request = json.loads(line)
        command = request["cmd"]
        if command == "start":
            say(start(request) if callable(start) else start)
        elif command == "configure":
            answer = configure(request) if configure else {"seq": request["seq"], "ok": True}
            if answer is not None:
                say(answer)
        elif command == "run":
            if run is None:
                say({"seq": request["seq"], "results": [result(bytes.fromhex(p)) for p in request["packets"]]})
            elif (answer := run(request)) is not None:
                say(answer)
        elif command == "stop":
            if stop is not None:
                stop()
            say({})
            return
        else:
            say({"error": f"unknown command {command}"})


if __name__ == "__main__":
    speak()
