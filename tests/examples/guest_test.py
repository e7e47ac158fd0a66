#!/usr/bin/env python3
"""The examples in the unikernel: they fit, they work, and under each malloc they find what they find on Linux. TAP.

    guest_test.py WEIR EXAMPLES HOST_BINARIES

WEIR is the tool, EXAMPLES the folder of the sources, HOST_BINARIES that of the same programs built for Linux.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import tap

PROGRAMS = {  # source, libraries and options, arguments that make it small, memory
    "threads": ("threads.c", [], ["0.05"], "48M"),
    "lua": ("lua.c", ["-l", "lua5.4"], ["0.5", "2"], "48M"),
    "sqlite": ("sqlite.c", ["-l", "sqlite3"], ["3000"], "48M"),
    "containers": ("containers.cc", ["-O0"], ["0.05"], "48M"),
}
MALLOCS = ["weir", "musl", "jemalloc"]


class Examples:
    def __init__(self, weir, sources, binaries, folder):
        self.weir, self.sources, self.binaries, self.folder = weir, pathlib.Path(sources), pathlib.Path(binaries), folder

    def build(self, source, libraries=(), malloc="weir"):
        image = self.folder / f"{source}.{malloc}.img"
        subprocess.run([self.weir, "build", self.sources / source, *libraries, f"--malloc={malloc}", "-o", image],
                       check=True)
        return image

    def run(self, image, memory, *arguments, env=()):
        words = [self.weir, "run", image, f"--memory={memory}", "--timeout=100", *[f"--env={e}" for e in env], "--",
                 *arguments]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=120)
        assert done.returncode == 0, f"exit code {done.returncode}: {(done.stdout + done.stderr).decode()[-800:]}"
        return done.stdout.decode().replace("\r", "")

    def on_linux(self, program, *arguments):
        done = subprocess.run([self.binaries / f"example-{program}", *arguments], check=True, stdout=subprocess.PIPE)
        return done.stdout.decode()


def hello_in_8_mib(examples):
    out = examples.run(examples.build("hello.c"), "8M", "two words", "x", env=["GREETING=good day"])
    assert "argument 1: two words\nargument 2: x\nGREETING is good day\n" in out, out


def lua_in_16_mib(examples):
    out = examples.run(examples.build("lua.c", ["-l", "lua5.4"]), "16M")
    assert re.search(r"tables: 6 rounds at scale 1, sum [0-9a-f]{12}\n", out), out


def lua_script_of_ones_own(examples):
    image = examples.folder / "lua.c.weir.img"
    out = examples.run(image, "16M", "-e", "print(#arg, arg[1], ('x'):rep(3))", "a b")
    assert out == "1\ta b\txxx\n", out


def same_answers(program):
    def check(examples):
        source, libraries, arguments, memory = PROGRAMS[program]
        wanted = examples.on_linux(program, *arguments)
        for malloc in MALLOCS:
            got = examples.run(examples.build(source, libraries, malloc), memory, *arguments)
            assert got == wanted, f"under {malloc}:\n{got}on Linux:\n{wanted}"
    check.__name__ = f"{program}: the same under every malloc as on Linux"
    return check


def phases_in_order(examples):
    image = examples.folder / "threads.c.weir.img"
    report = examples.folder / "report.json"
    subprocess.run([examples.weir, "run", image, "--memory=48M", "--env=WEIR_PHASES=1", f"--json={report}",
                    "--timeout=100", "--", "0.05"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    phases = json.loads(report.read_text())["phases"]
    assert [phase["name"] for phase in phases] == ["before", "peak", "freed"], phases
    assert phases[1]["live"] == phases[2]["live"] > 1e6 and phases[2]["seconds"] > 0, phases


def main():
    tests = tap.named(hello_in_8_mib, lua_in_16_mib, lua_script_of_ones_own, *map(same_answers, PROGRAMS), phases_in_order)
    with tempfile.TemporaryDirectory() as folder:
        return tap.run(tests, Examples(*sys.argv[1:4], pathlib.Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
