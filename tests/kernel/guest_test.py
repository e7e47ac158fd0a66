#!/usr/bin/env python3
"""The unikernel for real: guest programs on every machine and accelerator that is here. TAP.

    guest_test.py WEIR [SOURCE_ROOT] [--only WORD]...

WEIR is the tool. KVM is used where it works, beside emulation. Firecracker is skipped, with a line, where the tool
does not find one; FIRECRACKER may name it.
"""
import argparse
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import tap

TESTS = []
HOSTS = {
    "microvm/tcg": ["--machine=microvm", "--accel=tcg"],
    "q35/tcg": ["--machine=q35", "--accel=tcg"],
    "microvm/kvm": ["--machine=microvm", "--accel=kvm"],
    "q35/kvm": ["--machine=q35", "--accel=kvm"],
    "firecracker": ["--vmm=firecracker"],
}
EVERYWHERE = list(HOSTS)
MICROVM = ["microvm/tcg", "microvm/kvm"]


def timed(function, host, guests):
    start = time.time()
    function(guests.on(host))
    return f"{time.time() - start:.1f} s"


def test(hosts):
    def add(function):
        TESTS.extend((f"{function.__name__} {host}", functools.partial(timed, function, host)) for host in hosts)
        return function
    return add


class Result:
    def __init__(self, code, text):
        self.code, self.text = code, text

    def expect(self, code, *parts):
        assert self.code == code, f"exit code {self.code}, expected {code}: {self.text[-1500:]}"
        for part in parts:
            assert part in self.text, f"no {part!r} in: {self.text[-1500:]}"
        return self


class Guests:
    """Builds each guest program once and runs it on one host."""

    def __init__(self, weir, root, folder):
        self.weir, self.root, self.folder = weir, root, folder
        self.images = {}

    def image(self, program, malloc, flags):
        key = (program, malloc, flags)
        if key not in self.images:
            image = self.folder / f"{program}-{len(self.images)}.img"
            subprocess.run([self.weir, "build", self.root / f"tests/kernel/guest/{program}.c", "-o", image,
                            f"--malloc={malloc}", f"-I{self.root}", f"-I{self.root}/include", *flags], check=True)
            self.images[key] = image
        return self.images[key]

    def on(self, host):
        def run(program, *arguments, memory="64M", cpus=1, malloc="musl", flags=(), options=(), env=(), stdin=None):
            words = list(HOSTS[host])
            if host.endswith("kvm") or host == "firecracker":
                if not os.access("/dev/kvm", os.R_OK | os.W_OK):
                    raise tap.Skip("no /dev/kvm")
            if host == "firecracker":
                binary = os.environ.get("FIRECRACKER") or shutil.which("firecracker")
                if binary is None:
                    raise tap.Skip("no firecracker on the PATH")
                words.append(f"--firecracker={binary}")
            command = [self.weir, "run", self.image(program, malloc, flags), *words, f"--memory={memory}",
                       f"--cpus={cpus}", "--timeout=60", *(f"--option={option}" for option in options),
                       *(f"--env={variable}" for variable in env), "--", *arguments]
            done = subprocess.run(command, input=stdin, stdin=None if stdin else subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            return Result(done.returncode, done.stdout.decode("latin-1"))
        return run


@test(EVERYWHERE)
def arguments_environment_and_exit_code(run):
    run("calls", "words", "200", "b c", 'd"e', "f'g", "h\\i", "", "--", memory="8M", env=["VALUE=x y"]).expect(
        200, "[words][200][b c][d\"e][f'g][h\\i][][--]{x y}")
    for code in (0, 1, 127, 255):
        run("calls", "words", str(code), memory="8M").expect(code, "{none}")


@test(EVERYWHERE)
def clock(run):
    text = run("calls", "clock").expect(0, "clock done").text
    wall = int(text.split("wall ")[1].split()[0])
    assert abs(wall - time.time()) < 120, f"the guest's wall clock is {wall}, the host's {time.time()}"


@test(EVERYWHERE)
def every_cpu_runs_threads(run):
    for cpus in (1, 2, 3):
        run("calls", "cpus", cpus=cpus).expect(0, f"cpus {cpus}\n")
    run("calls", "cpus", cpus=2, options=["weir.cpus=1"]).expect(0, "cpus 1\n")


@test(EVERYWHERE)
def registers_outlive_system_calls(run):
    run("calls", "simd", cpus=1).expect(0)
    run("calls", "simd", cpus=2).expect(0)


@test(EVERYWHERE)
def input_from_the_console(run):
    run("calls", "input", stdin=b"one two\n").expect(0, "say something\n", "heard one two\n")


@test(["microvm/tcg", "q35/tcg"])
def output_is_complete(run):
    lines = "".join(f"{i:08d}:\n" for i in range(10000))
    run("calls", "output").expect(0, lines)


@test(MICROVM)
def unknown_system_calls_are_listed_when_asked(run):
    run("calls", "unknown", options=["weir.syscalls=1"]).expect(
        0, "weir: system call 77: not there, asked for 1 times\n", "weir: system call 401: not there, asked for 2 times\n")
    assert "not there" not in run("calls", "unknown").expect(0).text


@test(MICROVM)
def odds_and_ends(run):
    run("calls", "odds").expect(0, "odds done")


@test(EVERYWHERE)
def a_thousand_threads(run):
    for cpus in (1, 2):
        run("threads", memory="320M", cpus=cpus).expect(0, "sleepers\n")


@test(MICROVM)
def a_thousand_threads_on_weir(run):
    run("threads", memory="320M", cpus=2, malloc="weir").expect(0, "sleepers\n")


@test(EVERYWHERE)
def threads_are_preempted(run):
    for cpus in (1, 2):
        run("preempt", cpus=cpus).expect(0, "preempt\n")


@test(MICROVM)
def heaps_are_whole_under_preemption(run):
    for cpus in (1, 2):
        run("heaps", "torn", "6", cpus=cpus, malloc="weir", options=["weir.slice=50"]).expect(0, "heaps\n")


@test(MICROVM)
def waiting_threads_hold_nothing(run):
    for cpus in (1, 2):
        run("heaps", "waiting", cpus=cpus, malloc="weir").expect(0, "heaps\n")


@test(EVERYWHERE)
def memory_calls(run):
    run("memory", memory="64M").expect(0, "memory\n")


@test(EVERYWHERE)
def three_gib_in_one_object(run):
    run("memory", "big", memory="3584M", malloc="weir").expect(0, "memory\n")


CRASHES = {
    "null": (139, "page fault: write to a null pointer"),
    "text": (139, "which is code"),
    "constant": (139, "which is constant"),
    "data": (139, "page fault: jump to", "which is data"),
    "heap": (139, "page fault: jump to", "which is data"),
    "kernel": (139, "where nothing is mapped"),
    "wild": (139, "where nothing is mapped"),
    "tables": (139, "where nothing is mapped"),
    "guard": (139, "a page that mprotect took away"),
    "born": (139, "a page that mprotect took away"),
    "born above": (139, "a page that mprotect took away"),
    "overflow": (139, "stack overflow: ", "overflow+0x", "times more", "main+0x"),
    "thread": (139, "stack overflow: ", "overflow_thread+0x"),
    "divide": (136, "division error"),
    "illegal": (132, "invalid instruction"),
    "privileged": (139, "protection fault"),
    "trap": (133, "breakpoint"),
    "abort": (134, "signal 6 (abort)"),
    "raise": (143, "signal 15"),
}


@test(MICROVM)
def crashes_are_told(run):
    for how, (code, *parts) in CRASHES.items():
        result = run("crash", *how.split(), flags=("-O0", "-g")).expect(code, f"going to {how.split()[0]}\n", "backtrace:", *parts)
        if how != "thread":
            result.expect(code, "main+0x")
        if how not in ("abort", "raise"):
            assert "rip 0000" in result.text
    run("crash", "nothing", flags=("-O0", "-g")).expect(3)


@test(["firecracker", "q35/tcg"])
def a_crash_ends_the_guest_everywhere(run):
    run("crash", "null", cpus=2, flags=("-O0", "-g")).expect(139, "null pointer", "write_to+0x", "main+0x")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weir")
    parser.add_argument("root", nargs="?", default=pathlib.Path(__file__).resolve().parents[2], type=pathlib.Path)
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    chosen = [(name, run) for name, run in TESTS if all(word in name for word in options.only)]
    with tempfile.TemporaryDirectory() as folder:
        return tap.run(chosen, Guests(options.weir, options.root, pathlib.Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
