"""What the tests of the command `weir` share: a place to run it in, and what to expect of it."""
import contextlib
import functools
import os
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
import tap
from tap import Skip

WEIR = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))

tests = []


def test(function):
    tests.append(function)
    return function


def make_image(path):
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", 0x200000)
    segment = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(header + segment + note)


class Place:
    """A directory with an image, a PATH with the fakes if they are wanted, and a TMPDIR of its own to see what is left in it."""

    def __init__(self, fakes):
        self.root = tempfile.mkdtemp(prefix="weir-test-")
        self.bin = os.path.join(self.root, "bin")
        self.tmp = os.path.join(self.root, "tmp")
        os.mkdir(self.bin)
        os.mkdir(self.tmp)
        self.image = os.path.join(self.root, "job.img")
        make_image(self.image)
        for fake, name in (("fake_qemu.py", "qemu-system-x86_64"), ("fake_firecracker.py", "firecracker")):
            if not fakes:
                break
            target = os.path.join(self.bin, name)
            with open(target, "w") as file:
                file.write("#!%s\n" % sys.executable)
                file.write(open(os.path.join(HERE, fake)).read())
            os.chmod(target, 0o755)

    def environment(self, script=None, **more):
        env = dict(os.environ, PATH=self.bin + ":" + os.environ["PATH"], TMPDIR=self.tmp, **more)
        if script is not None:
            env["FAKE_SCRIPT"] = script
        return env

    def weir(self, *arguments, script=None, stdin="", timeout=120, **more):
        return subprocess.run([WEIR, *arguments], env=self.environment(script, **more), input=stdin.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)

    def file(self, name, text=""):
        path = os.path.join(self.root, name)
        if text:
            with open(path, "w") as file:
                file.write(text)
        return path

    def left(self):
        return os.listdir(self.tmp)

    def close(self):
        shutil.rmtree(self.root)


def expect(result, code, *words, out=None):
    errors = result.stderr.decode()
    assert result.returncode == code, "exit %d, not %d: %s" % (result.returncode, code, errors)
    for word in words:
        assert word in errors, "%r is not in %r" % (word, errors)
    if out is not None:
        assert result.stdout == out, "stdout is %r" % result.stdout


def main(fakes=True):
    def at_a_place(function):
        with contextlib.closing(Place(fakes)) as place:
            function(place)
    return tap.run([(function.__name__.replace("_", " "), functools.partial(at_a_place, function)) for function in tests])
