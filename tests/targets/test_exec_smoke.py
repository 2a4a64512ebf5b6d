"""The checks of `vnethash adapter smoke`."""

import shlex
import sys
from pathlib import Path

import pytest
from vnethash.models.toeplitz import toeplitz
from vnethash.targets.base import Capabilities
from vnethash.targets.exec.smoke import FRAMES, smoke, usual_configuration

ADAPTERS = Path(__file__).parent / "adapters"


def command(name, *arguments):
    return shlex.join([sys.executable, str(ADAPTERS / f"{name}.py"), *arguments])


def failed(name, *arguments, **options):
    """Return the details of what failed, by the name of the check."""
    return {check.name: check.detail for check in smoke(command(name, *arguments), **options) if not check.ok}


@pytest.mark.parametrize("name", ["speak", "loud", "poison"])
def test_a_good_adapter_passes_every_check(name):
    checks = list(smoke(command(name)))
    assert [check for check in checks if not check.ok] == []
    assert len(checks) == len({check.name for check in checks}) == 10


def test_only_what_is_wrong_fails():
    assert set(failed("packed")) == {"survives an unknown command"}


def test_an_adapter_that_does_not_start_is_tried_no_further():
    checks = list(smoke(command("wrong", "start-dies")))
    assert checks[0].ok is False
    assert "stderr: 'no device'" in checks[0].detail
    assert {check.ok for check in checks[1:]} == {None}


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("refuses", "takes a configuration", "refused a configuration within its own capabilities: key too long"),
        ("skips", "takes a configuration", "cannot be asked for a configuration within its own capabilities"),
        ("wrong-seq", "answers three frames", "seq 4 where 3 was asked"),
        ("unknown-field", "answers three frames", "unknown field colour"),
        ("shows-nothing", "answers three frames", "shows nothing of queue, value"),
        ("changes-its-mind", "answers the same when asked again", "first value 5, then value 6"),
        ("configure-seq", "passes over unknown fields", "seq 77"),
        ("refuses", "passes over unknown fields", "what it does not know it should pass over"),
    ],
)
def test_a_fault_is_named(fault, check, words):
    assert words in failed("wrong", fault)[check]


def test_an_adapter_that_does_not_end_is_seen():
    details = failed("wrong", "ignores-stop", timeout=0.5)
    assert "ends when told to stop" in details
    assert "ends with its input" not in details


def test_one_fault_does_not_hide_another():
    assert set(failed("wrong", "rubbish")) == {
        "answers three frames", "answers the same when asked again", "answers an empty batch", "answers a large batch",
    }  # fmt: skip


def test_the_configuration_stays_within_what_is_claimed():
    configuration = usual_configuration(
        Capabilities(
            observes=frozenset({"queue"}), features=frozenset({"RSS"}), hash_types=0x3FF, max_key_size=10,
            max_indirection_table_length=100, queues=3,
        )
    )  # fmt: skip
    assert configuration.features == {"RSS"}
    assert configuration.hash_types == 0x1FF
    assert len(configuration.key) == 10
    assert len(configuration.indirection_table) == 64
    assert set(configuration.indirection_table) == {0, 1, 2}
    assert configuration.unclassified_queue == 2


def test_the_first_frame_is_the_first_vector_of_microsoft():
    key = usual_configuration(Capabilities(observes=frozenset({"value"}))).key
    assert toeplitz(key, FRAMES[0][26:38]) == 0x51CCC178
