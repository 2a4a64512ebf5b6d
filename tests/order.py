"""The order in which test files run: the longest first, so that at the end no processor waits for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

#: What files of five seconds or more test, the longest first. `make test` gives its processes whole files.
LONG = (
    "identify_all", "verdicts", "control_campaigns", "adapters_tutorial", "symbolic_query", "fuzzers", "campaigns",
    "fuzzing", "device_defects", "exec_client", "check_command", "slips", "lib_target", "identify_command",
    "identify", "html", "symbolic_pairs", "fuzz_killed", "implementations", "device_qemu", "plain", "check_resume",
    "qemu_leftovers", "qemu", "vectors", "lib_coverage", "compiled", "symbolic_translate", "qemu_fetch", "pages",
    "reference", "symbolic_interactions", "fuzz_resume", "exec_bench", "exec_smoke", "tun_tap", "contracts",
    "adapter", "past", "suite", "tun_target", "skips", "qemu_target", "qemu_packets", "fuzz_command", "ebpf_target",
)  # fmt: skip


def sort(items: list[pytest.Item]) -> None:
    """Put the tests of long files first, in the order of LONG; all else stays as it is."""
    places = {f"test_{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONG)))
