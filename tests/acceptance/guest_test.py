#!/usr/bin/env python3
"""What users rely on, in the unikernel: the programs of this folder, and little and large guests. TAP.

    guest_test.py WEIR ROOT

WEIR is the tool, ROOT the folder with all sources. Without a virtual machine monitor everything is skipped.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import tap

FACES = ["faces.c", "sizes.c", "alignments.c", "contents.c", "errors.c", "check.c"]
MIB = 1 << 20


class Failure(Exception):
    """What the guest said is not what was expected."""


class Guests:
    def __init__(self, weir, root, folder):
        self.weir, self.root, self.folder = weir, pathlib.Path(root), pathlib.Path(folder)

    def run(self, sources, memory, *arguments, cpus=2, env=(), flags=()):
        """Builds, runs, and returns what the guest printed; it must exit with 0."""
        if not shutil.which("qemu-system-x86_64") and not shutil.which("firecracker"):
            raise tap.Skip("no virtual machine monitor here")
        here = self.root / "tests" / "acceptance"
        command = [self.weir, "run", *[here / source for source in sources], f"-I{self.root}", "--cflags=-fno-builtin -w", *flags,
                   f"--memory={memory}", f"--cpus={cpus}", "--timeout=200", *[f"--env={e}" for e in env], "--", *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240,
                              check=False)
        out = done.stdout.decode(errors="replace").replace("\r", "")
        if done.returncode:
            raise Failure(f"exit code {done.returncode}\n{out[-2000:]}{done.stderr.decode(errors='replace')[-800:]}")
        return out

    def passes(self, *arguments, **options):
        """The same for a program that prints TAP."""
        out = self.run(*arguments, **options)
        if "\nnot ok" in out or not re.search(r"^1\.\.\d+$", out, re.M):
            raise Failure(out[-2000:])


def numbers(name, text):
    return [int(n) for n in re.findall(rf"^{name} (\d+)$", text, re.M)]


def thirty_classes_in_2_mib(guests):
    """In a guest of 4 MiB, image, kernel and stacks included, and with a limit of 2 MiB."""
    little(guests, "4M", [], 3 * MIB)
    little(guests, "16M", ["WEIR_LIMIT=2M"], 2 * MIB)


def little(guests, memory, env, most):
    out = guests.run(["little.c"], memory, "30", cpus=1, env=env)
    left, live = numbers("left", out), numbers("live", out)
    if live[0] < 700_000 or not 0.8 * most < left[-1] < most:
        raise Failure(f"not the guest that was meant: {out}")
    # Whatever the size, most of what is left can be had, and after all of that as much as before.
    if min(left[:-1]) < 0.7 * max(left[:-1]) or left[5] < 0.97 * left[0]:
        raise Failure(f"of little memory much is lost: {out}")


def a_gibibyte_in_1_1_gib(guests):
    out = guests.run(["gibibyte.c"], "1127M", cpus=1)
    if "fits\n" not in out:
        raise Failure(out)


def faces(guests):
    guests.passes(FACES, "256M", f"alignment={32 * MIB}", f"object={4 * MIB}", f"burst={64 * MIB}")


def operators(guests):
    guests.passes(["operators.cc", "check.c"], "256M", f"alignment={32 * MIB}")


def lifetimes(guests):
    guests.passes(["lifetimes.c", "check.c"], "128M", "faults=0")


def threads(guests):
    guests.passes(["threads.c", "check.c"], "256M", "rounds=20", "threads=50", "objects=100000", "megabytes=8")


def main():
    tests = tap.named(thirty_classes_in_2_mib, a_gibibyte_in_1_1_gib, faces, operators, lifetimes, threads)
    with tempfile.TemporaryDirectory() as folder:
        return tap.run(tests, Guests(*sys.argv[1:3], folder))


if __name__ == "__main__":
    sys.exit(main())
