"""`lib:PATH.so`: libraries that behave, that do not, and that are none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import frames
import pytest
from library_support import HEADER, SOURCE, Libraries, compile_library
from needs import require
from plain import Plain
from vnethash.conformance import records
from vnethash.conformance.check import check as check_targets
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import FormatError, TargetError, UsageError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Errored, Implementation, Refused, Skipped, TimedOut
from vnethash.targets.lib.target import SYMBOLS, LibTarget, Shared, check, environment, look, open_lib
from vnethash.targets.registry import open_target

from tests.conformance.planted import cases

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs_cc

GOOD = bytes.fromhex("02000000000202000000000108004500001c0001000040110000420995bba18e64500aea06e600080000")
STRUCK = GOOD.ljust(77, b"\0")
ANSWER = Observation(3, 0x51CCC178, 120)
BATCH = [GOOD] * 40 + [STRUCK] + [GOOD] * 60
NOT_STRUCK = [ANSWER] * 40, [ANSWER] * 60


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Libraries:
    return Libraries(tmp_path_factory.mktemp("libraries"))


@pytest.fixture
def opened(libraries: Libraries, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    opener = Opener(libraries, monkeypatch)
    yield opener
    for target in opener.targets:
        target.close()


class Opener:
    """Opens libraries with a plant, configured; all are closed at the end of the test."""

    def __init__(self, libraries: Libraries, monkeypatch: pytest.MonkeyPatch) -> None:
        self._libraries = libraries
        self._monkeypatch = monkeypatch
        self.targets: list[LibTarget] = []

    def __call__(self, plant: str = "NOTHING", *flags: str, timeout: float = 20.0) -> LibTarget:
        self._monkeypatch.setenv("PLANT", plant)  # for the processes that are started again too
        target = open_lib(str(self._libraries(*flags)), timeout=timeout)
        self.targets.append(target)
        target.configure(Configuration())
        return target


class TestALibraryThatBehaves:
    def test_says_who_it_is_and_what_it_can(self, libraries: Libraries) -> None:
        path = libraries()
        target = open_target(f"lib:{path}")
        assert target.name == f"lib:{path}"
        assert target.implementation == Implementation("literal-library", "1", "c")
        assert target.capabilities.observes == {"report", "value", "queue"}
        assert target.capabilities.features == {"RSS", "HASH_REPORT"}
        assert (target.capabilities.hash_types, target.capabilities.max_key_size) == (0x1FF, 255)
        assert (target.capabilities.max_indirection_table_length, target.capabilities.queues) == (32768, 32768)
        assert target.notes[0].startswith("object ")
        target.close()

    def test_agrees_with_the_same_implementation_in_python(self, opened: Opener) -> None:
        target, device, rng = opened(), Plain(), Random(20)
        reports = set()
        for _ in range(100):
            config, packets = frames.configuration(rng), [frames.frame(rng) for _ in range(20)]
            target.configure(Configuration.from_json(config))
            device.configure(config)
            expected = [device.answer(packet) for packet in packets]
            no_queue = -1 if "RSS" not in config["features"] else None
            assert target.run(packets) == [
                Observation(answer["report"], answer["value"], answer.get("queue", no_queue)) for answer in expected
            ]
            reports |= {answer["report"] for answer in expected}
        assert reports == set(range(10))

    def test_takes_frames_of_any_length_and_none(self, opened: Opener) -> None:
        target = opened()
        assert target.run([]) == []
        lengths = [*range(100), 1500, 9000, 65535, 1 << 20]
        results = target.run([GOOD[:length].ljust(length, b"\0") for length in lengths])
        assert [result == ANSWER for result in results] == [length >= len(GOOD) for length in lengths]

    def test_is_told_the_configuration_as_it_is(self, opened: Opener) -> None:
        target = opened()
        key = bytes(range(255))
        for size in (0, 1, 4, 40, 255):
            target.configure(Configuration(key=key[:size], unclassified_queue=7, indirection_table=(5, 6, 7, 8)))
            other = Plain()
            other.configure(Configuration(key=key[:size], indirection_table=(5, 6, 7, 8)).to_json())
            assert target.run([GOOD, b""]) == [Observation(**other.answer(GOOD)), Observation(0, 0, 7)]

    def test_that_refuses_a_configuration_keeps_the_one_before(self, opened: Opener) -> None:
        target = opened("REFUSES")
        with pytest.raises(Refused, match="no more than 128 entries") as caught:
            target.configure(Configuration(indirection_table=(1,) * 256))
        assert not caught.value.skipped
        with pytest.raises(Refused, match="no reason given") as caught:
            target.configure(Configuration(tunnel_types=1))
        assert caught.value.skipped
        assert target.run([GOOD]) == [ANSWER]

    def test_may_print_what_it_likes(self, opened: Opener) -> None:
        target = opened("PRINTS")
        assert target.run([STRUCK, GOOD]) == [ANSWER, ANSWER]
        assert b'{"seq":1}' in target.stderr()

    @pytest.mark.parametrize(
        ("plant", "result"),
        [("SKIPS", Skipped("not this one")), ("FAILS", Errored("no reason given")), ("PARTLY", Observation(3))],
    )
    def test_may_answer_one_frame_of_a_batch_otherwise(self, opened: Opener, plant: str, result: object) -> None:
        before, after = NOT_STRUCK
        assert opened(plant).run(BATCH) == [*before, result, *after]

    def test_ends_with_its_target(self, opened: Opener) -> None:
        target = opened()
        pid = target.pid
        target.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


class TestALibraryThatDoesNot:
    def test_costs_the_frame_that_it_dies_of_and_no_other(self, opened: Opener) -> None:
        before, after = NOT_STRUCK
        for plant, words in (("CRASH", "was killed by SIGSEGV"), ("EXIT", "ended with status 0")):
            target = opened(plant)
            results = target.run(BATCH)
            assert results[:40] == before
            assert results[41:] == after
            assert isinstance(results[40], Errored)
            assert words in results[40].message

    def test_costs_the_frame_that_it_hangs_on_and_no_other(self, opened: Opener) -> None:
        before, after = NOT_STRUCK
        assert opened("HANG", timeout=1.0).run(BATCH) == [*before, TimedOut(1.0), *after]

    def test_that_reads_too_far_does_so_in_the_same_way_however_frames_are_batched(self, opened: Opener) -> None:
        for plant in ("READS_BEHIND", "READS_BEFORE"):
            target = opened(plant)
            alone = target.run([STRUCK])
            assert alone == [ANSWER._replace(value=0x51CCC178 + 0xA5)]
            assert target.run([GOOD[:33], STRUCK, bytes(range(50))])[1:2] == alone

    @pytest.mark.parametrize(
        ("plant", "words"),
        [
            ("ABI", "built for version 7 of vnethash.h, and this vnethash has version 1"),
            ("SIZE", "vnethash_info says size"),
            ("NULL_INFO", "vnethash_info returned NULL"),
            ("NO_NAME", "vnethash_info gives no name"),
            ("LONG_NAME", "name of vnethash_info has no NUL within 1024 bytes"),
            ("LATIN1", "name of vnethash_info is not UTF-8: invalid start byte at byte 1"),
            ("NO_PARTS", "vnethash_info says observes 0; 1 to 7 can be"),
            ("KEY_SIZE", "vnethash_info says max_key_size 256; 0 to 255 can be"),
        ],
    )
    def test_is_not_opened_and_one_line_says_why(
        self, libraries: Libraries, monkeypatch: pytest.MonkeyPatch, plant: str, words: str
    ) -> None:
        path = libraries()
        monkeypatch.setenv("PLANT", plant)
        with pytest.raises(TargetError) as caught:
            open_lib(str(path))
        assert f"lib:{path}: " in caught.value.line()
        assert words in caught.value.line()
        assert "\n" not in caught.value.line()

    @pytest.mark.parametrize(
        ("plant", "words"),
        [
            ("STATUS", "result 40 has status 9; 0, 1 and 2 can be"),
            ("UNCLAIMED", "result 40 shows parts 0x4; vnethash_info says observes 0x2"),
            ("WRITES_BEHIND", "vnethash_run wrote outside of its 101 results"),
            ("WRITES_BEFORE", "vnethash_run wrote outside of its 101 results"),
        ],
    )
    def test_that_answers_against_the_header_is_not_judged(self, opened: Opener, plant: str, words: str) -> None:
        with pytest.raises(TargetError, match=words):
            opened(plant).run(BATCH)

    def test_that_returns_another_status_is_not_judged(self, opened: Opener) -> None:
        with pytest.raises(TargetError, match="vnethash_configure returned 9; 0, 1 and 2 can be"):
            opened("CONFIGURE_STATUS")


class TestSanitizers:
    @pytest.mark.parametrize(
        ("plant", "flags", "words"),
        [
            ("READS_BEHIND", "-fsanitize=address", "AddressSanitizer: use-after-poison"),
            ("READS_BEFORE", "-fsanitize=address", "AddressSanitizer: use-after-poison"),
            ("OVERFLOWS", "-fsanitize=undefined", "runtime error: signed integer overflow"),
        ],
    )
    def test_what_they_find_is_an_error_of_that_frame(
        self, opened: Opener, plant: str, flags: str, words: str
    ) -> None:
        require("sanitizers")
        results = opened(plant, flags).run(BATCH)
        before, after = NOT_STRUCK
        assert results[:40] == before
        assert results[41:] == after
        assert isinstance(results[40], Errored)
        assert words in results[40].message
        assert "library.c" in results[40].message

    def test_a_sound_library_is_clean_under_them(self, opened: Opener) -> None:
        require("sanitizers")
        target, rng = opened("NOTHING", "-fsanitize=address,undefined"), Random(21)
        assert [note for note in target.notes if note.startswith("with libasan.so")]
        for _ in range(20):
            target.configure(Configuration.from_json(frames.configuration(rng)))
            results = target.run([frames.frame(rng) for _ in range(50)])
            assert {type(result) for result in results} == {Observation}

    def test_need_their_runtime_in_the_library(self, tmp_path: Path) -> None:
        require("sanitizers")
        subprocess.run(
            ["cc", "-fsanitize=address", "-fPIC", f"-I{HEADER.parent}", "-c", "-o", tmp_path / "part.o", SOURCE],
            check=True,
        )
        subprocess.run(["cc", "-shared", "-o", tmp_path / "lacks.so", tmp_path / "part.o"], check=True)
        with pytest.raises(FormatError, match="without its runtime") as caught:
            open_lib(str(tmp_path / "lacks.so"))
        assert "-shared-libasan" in caught.value.hint

    def test_of_clang_are_found_by_clang(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        name = "libclang_rt.asan-x86_64.so"
        shared = Shared(frozenset(SYMBOLS), frozenset({"__asan_init"}), (name, "libc.so.6"))
        clang = tmp_path / "clang"
        clang.write_text(f'#!/bin/sh\necho "{tmp_path}/${{1#-print-file-name=}}"\n')
        clang.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(FormatError, match=f"needs {name}, which is not found"):
            check(shared, "x.so")
        (tmp_path / name).touch()
        assert check(shared, "x.so") == [str(tmp_path / name)]

    def test_options_of_the_user_come_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ASAN_OPTIONS", "verbosity=1")
        monkeypatch.setenv("LD_PRELOAD", "mine.so")
        words = environment(["libasan.so.8"])
        assert words[0] == "env"
        assert any(word.startswith("ASAN_OPTIONS=detect_leaks=0") and word.endswith(":verbosity=1") for word in words)
        assert words[-1] == "LD_PRELOAD=libasan.so.8:mine.so"


class TestAFileThatIsNone:
    def test_is_one_line_and_a_mistake_of_the_user(self, tmp_path: Path, libraries: Libraries) -> None:
        text = tmp_path / "text.so"
        text.write_text("no library")
        cut = tmp_path / "cut.so"
        cut.write_bytes(libraries().read_bytes()[:5000])
        elsewhere = tmp_path / "elsewhere.so"
        data = bytearray(libraries().read_bytes())
        data[18:20] = b"\xf7\0"
        elsewhere.write_bytes(data)
        source = tmp_path / "other.c"
        source.write_text("int vnethash_run;\n")
        program = tmp_path / "program.c"
        program.write_text("int main(void) { return 0; }\n")
        subprocess.run(["cc", "-no-pie", "-o", tmp_path / "program", program], check=True)
        cases = {
            tmp_path / "missing.so": "cannot be read: No such file or directory",
            tmp_path: "cannot be read: Is a directory",
            text: "not an ELF file",
            cut: "a damaged ELF file",
            elsewhere: "built for another kind of machine than this one",
            compile_library(tmp_path / "other.so", source): "exports no vnethash_info, vnethash_configure",
            tmp_path / "program": "an ELF file, but no shared library",
        }
        for path, words in cases.items():
            with pytest.raises(UsageError) as caught:
                open_lib(str(path))
            assert words in caught.value.message
            assert "\n" not in caught.value.line()
        with pytest.raises(UsageError):
            open_lib("")

    def test_damage_anywhere_is_one_line(self, tmp_path: Path, libraries: Libraries) -> None:
        data, rng = libraries().read_bytes(), Random(22)
        refused = 0
        for _ in range(300):
            changed = bytearray(data)
            for _ in range(8):
                at = rng.choice((rng.randrange(64), rng.randrange(len(data)), -rng.randrange(1, 3000)))
                changed[at] = rng.randrange(256)
            try:
                check(look(bytes(changed), "x.so"), "x.so")
            except FormatError:
                refused += 1
        assert refused > 100

    def test_with_something_missing_says_what(self, tmp_path: Path) -> None:
        source = tmp_path / "lacking.c"
        source.write_text(
            '#include "vnethash.h"\nint no_such_function(void);\n'
            "const struct vnethash_info *vnethash_info(void) { return no_such_function() ? NULL : NULL; }\n"
            "int vnethash_configure(const struct vnethash_configuration *c, const char **m) { return !c || !m; }\n"
            "void vnethash_run(const uint8_t *b, const uint64_t *o, const uint32_t *l, uint32_t c,"
            " struct vnethash_result *r) { (void)b; (void)o; (void)l; (void)c; (void)r; }\n"
        )
        path = compile_library(tmp_path / "lacking.so", source)
        with pytest.raises(TargetError, match=r"cannot be loaded: .*no_such_function"):
            open_lib(str(path))


class TestTheHeader:
    @pytest.mark.parametrize("compiler", [["cc", "-xc", "-std=c99"], ["cc", "-xc", "-std=c17"], ["c++", "-xc++"]])
    def test_compiles_by_itself(self, compiler: list[str]) -> None:
        if not shutil.which(compiler[0]):
            pytest.skip(f"no {compiler[0]}")
        command = [*compiler, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", str(HEADER)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "cc1plus" in done.stderr:
            pytest.skip("cc has no C++")
        assert done.returncode == 0, done.stderr

    def test_has_the_layout_that_we_read(self, tmp_path: Path) -> None:
        import cffi
        from vnethash.targets.lib.library import declarations

        ffi = cffi.FFI()
        ffi.cdef(declarations())
        fields = [
            (f"struct {name}", field)
            for name in ("vnethash_info", "vnethash_configuration", "vnethash_result")
            for field, _ in ffi.typeof(f"struct {name}").fields
        ]
        source = tmp_path / "layout.c"
        lines = [f'printf("%zu\\n", offsetof({kind}, {field}));' for kind, field in fields]
        lines += [f'printf("%zu\\n", sizeof({kind}));' for kind in dict(fields)]
        source.write_text(f'#include <stdio.h>\n#include "{HEADER}"\nint main(void) {{ {" ".join(lines)} }}\n')
        subprocess.run(["cc", "-o", tmp_path / "layout", source], check=True)
        said = subprocess.run([tmp_path / "layout"], capture_output=True, text=True, check=True).stdout.split()
        ours = [ffi.offsetof(kind, field) for kind, field in fields] + [ffi.sizeof(kind) for kind in dict(fields)]
        assert list(map(int, said)) == ours


def test_check_judges_a_library_as_any_target(libraries: Libraries, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"lib:{libraries()}"
    for plant, conclusion, code in (("NOTHING", "conforms", 0), ("WRONG", "deviates", 1)):
        monkeypatch.setenv("PLANT", plant)
        stream: list[records.AnyRecord] = []
        summary = check_targets([name], "test", cases(), open_target, stream.append, now=lambda: "2026-01-01T00:00:00Z")
        assert summary.exit_code == code
        assert [record.conclusion for record in stream if isinstance(record, records.TargetRecord)] == [conclusion]
        found = [record.witness.observed for record in stream if isinstance(record, records.Finding)]
        assert [shown.report for shown in found if shown] == [5] * len(found)  # TCP over IPv6, where it was planted
        assert bool(found) == bool(code)


def test_the_process_of_a_library_dies_with_us(tmp_path: Path, libraries: Libraries) -> None:
    program = (
        "import sys, time; from vnethash.targets.lib.target import open_lib; target = open_lib(sys.argv[1]);"
        "print(target.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(libraries())], stdout=subprocess.PIPE)
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(200):
        stat = Path(f"/proc/{child}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("it outlived us")
