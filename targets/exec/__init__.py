"""Programs that speak the adapter protocol, and any target made into one.

    client.py      the target `exec:COMMAND`
    process.py     one adapter process: pipes, time limits, its end
    isolation.py   which frames of a batch killed or hung it
    serve.py       the other side: a target behind the protocol
    smoke.py       does a program speak the protocol at all?
    messages.py    the JSON messages;  framing.py  the binary ones;  protocol-1.schema.json  the schema
    bench.py       how fast all that is
"""
