#!/usr/bin/env python3
"""Real applications with the malloc preloaded say what they say without it. TAP.

    applications_test.py LIBRARY INPUTS

LIBRARY is the shared library with the malloc, INPUTS the folder with what the applications read. What is not installed
is skipped, with a line. Options are read from WEIR_* of the environment, as by any program.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import tap


class Place:
    """Where applications run: with or without the library, everything else the same."""

    def __init__(self, library, inputs, folder):
        self.library, self.inputs, self.folder = os.path.abspath(library), pathlib.Path(inputs).resolve(), pathlib.Path(folder)
        self.source = self.folder / "program.c"
        script = self.inputs / "program.py"
        self.source.write_bytes(subprocess.run([sys.executable, script, "60"], check=True, stdout=subprocess.PIPE).stdout)

    def environment(self, preloaded, extra=()):
        environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "LD_LIBRARY_PATH")}
        environment.update(LC_ALL="C", PYTHONHASHSEED="0", PERL_HASH_SEED="0", WEIR_ABORT="1", **dict(extra))
        if preloaded:
            environment["LD_PRELOAD"] = self.library
        return environment

    def run(self, command, preloaded, extra=(), stdin=None):
        """What the command says: its exit code, and all that it wrote."""
        if not shutil.which(command[0]):
            raise tap.Skip(f"{command[0]} is not installed")
        done = subprocess.run(list(map(str, command)), env=self.environment(preloaded, extra), cwd=self.folder, timeout=120,
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return done.returncode, done.stdout, done.stderr

    def same(self, *command, extra=(), stdin=None, succeeds=True):
        """Runs the command without the library and with it."""
        without = self.run(command, False, extra, stdin)
        if succeeds:
            assert without[0] == 0, f"{command[0]} fails without the library: {without[2].decode(errors='replace')[-300:]}"
        within = self.run(command, True, extra, stdin)
        for what, expected, got in zip(("exit code", "output", "errors"), without, within):
            if expected != got:
                raise AssertionError(f"{what} without the library: {describe(expected)}; with it: {describe(got)}")
        return within[1]


def describe(value):
    if isinstance(value, int):
        return str(value)
    return f"{len(value)} bytes, {hashlib.sha256(value).hexdigest()[:12]}, … {value[-160:]!r}"


def lua(place):
    place.same("lua5.4", place.inputs / "objects.lua", "2")


def sqlite(place):
    place.same("sqlite3", ":memory:", ".parameter set :rows 8000", f".read {place.inputs}/database.sql")


def python_without_its_own_allocator(place):
    place.same("/usr/bin/python3", place.inputs / "objects.py", "1", extra={"PYTHONMALLOC": "malloc"}.items())


def python_processes(place):
    code = "import multiprocessing as m, concurrent.futures as f\nm.set_start_method('fork')" \
           "\ndef work(n): return sum(len(str(i) * 3) for i in range(n))" \
           "\nif __name__ == '__main__':" \
           "\n    with f.ThreadPoolExecutor(4) as t: print(sum(t.map(work, [3000] * 40)))" \
           "\n    with m.Pool(2) as p: print(sum(p.map(work, [3000] * 40)))"
    place.same("/usr/bin/python3", "-c", code)


def perl(place):
    place.same("perl", place.inputs / "text.pl", "1")


def ghostscript(place):
    out = place.same("gs", "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-sDEVICE=ppmraw", "-r36", "-sOutputFile=-",
                     "-dPAGES=1", place.inputs / "picture.ps")
    assert out.startswith(b"P6"), "not a picture"


def gcc(place):
    place.same("gcc", "-O1", "-w", "-S", "-o", "-", place.source)


def gcc_of_cxx(place):
    program = b"#include <map>\n#include <regex>\n#include <string>\nint main() { std::map<std::string, std::regex> m; }\n"
    place.same("g++", "-std=c++17", "-O1", "-x", "c++", "-S", "-o", "-", "-", stdin=program)


def gcc_with_an_error(place):
    place.same("gcc", "-c", "-o", "/dev/null", "-x", "c", "-", stdin=b"int main(void) { return x; }\n", succeeds=False)


def clang(place):
    place.same("clang", "-O1", "-w", "-S", "-o", "-", place.source)


def sort_in_threads(place):
    lines = "\n".join(str(i * 7919 % 100003) for i in range(100000)).encode()
    place.same("sort", "-n", "--parallel=4", "-S", "2M", stdin=lines)


def shell(place):
    place.same("bash", "-c", "for i in {1..300}; do x+=$(echo $i); done; echo ${#x}; ls / | wc -l; printf %s {1..9999} | md5sum")


def awk(place):
    place.same("awk", "BEGIN { for (i = 0; i < 100000; i++) a[i % 5003 \"x\"] = a[i % 17] i; n = asort_free = length(a); print n }")


def git(place):
    place.same("git", "-c", "pack.threads=4", "--version")
    script = "rm -rf r && git init -q r && cd r && for i in 1 2 3 4 5; do seq $i 3000 >f$i; git add .; " \
             "git -c user.name=a -c user.email=a@b commit -q -m $i; done; git -c pack.threads=4 gc -q; git fsck && git log --format=%T"
    dates = {"GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z",
             "GIT_CONFIG_GLOBAL": "/dev/null"}
    if not shutil.which("git"):
        raise tap.Skip("git is not installed")
    place.same("bash", "-c", script, extra=dates.items())


def xz_in_threads(place):
    data = place.source.read_bytes() * 20
    packed = place.same("xz", "-T", "4", "-3", "-c", "--block-size=200000", stdin=data)
    assert place.run(["xz", "-d", "-c"], True, stdin=packed)[1] == data, "what was packed is not unpacked"


def redis(place):
    """A server under its own benchmark, asked the same questions with and without the library; it saves in a child."""
    for program in ("redis-server", "redis-cli", "redis-benchmark"):
        if not shutil.which(program):
            raise tap.Skip(f"{program} is not installed")
    answers = [redis_answers(place, preloaded) for preloaded in (False, True)]
    for without, within in zip(*answers):
        assert without == within, f"without the library: {describe(without)}; with it: {describe(within)}"


def redis_answers(place, preloaded):
    folder = place.folder / f"redis-{preloaded}"
    folder.mkdir()
    socket = folder / "socket"
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", "",
                               "--io-threads", "2"], env=place.environment(preloaded), stdout=subprocess.DEVNULL,
                              stderr=subprocess.STDOUT)

    def ask(*words):
        done = subprocess.run(["redis-cli", "-s", socket, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=60, check=False)
        return done.stdout

    try:
        deadline = time.monotonic() + 20
        while ask("ping") != b"PONG\n":
            assert server.poll() is None, f"the server ended with {server.returncode}"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.02)
        subprocess.run(["redis-benchmark", "-s", socket, "-q", "-c", "10", "-P", "16", "-r", "5000", "-n", "8000", "-d", "200",
                        "-t", "set,get,incr,lpush,rpop,sadd,hset,zadd,mset"], check=True, stdout=subprocess.DEVNULL, timeout=100)
        ask("flushall")
        script = "for i = 1, 3000 do redis.call('set', 'k' .. i, string.rep('v', i % 500)); " \
                 "redis.call('rpush', 'list' .. i % 7, i); redis.call('hset', 'hash' .. i % 5, i, i * i); " \
                 "redis.call('zadd', 'set', i % 101, i) end return redis.call('dbsize')"
        answers = [ask("eval", script, "0"), ask("save"), ask("lrange", "list3", "0", "-1"), ask("zrange", "set", "0", "-1")]
        answers += [b"".join(sorted(ask("hvals", "hash2").splitlines())), ask("set", "large", "x" * 100000)]
        answers += [ask("append", "large", "y" * 70000), ask("get", "large"), ask("get", "k499"), ask("memory", "purge")]
        ask("bgsave")
        deadline = time.monotonic() + 20
        while b"rdb_bgsave_in_progress:1" in ask("info", "persistence") and time.monotonic() < deadline:
            time.sleep(0.05)
        answers.append(int(b"rdb_last_bgsave_status:ok" in ask("info", "persistence")))
        return answers
    finally:
        ask("shutdown", "nosave")
        try:
            code = server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            code = "a kill"
        if sys.exc_info()[0] is None:
            assert code == 0, f"the server ended with {code}"


def main():
    tests = tap.named(lua, sqlite, python_without_its_own_allocator, python_processes, perl, ghostscript, gcc, gcc_of_cxx,
                      gcc_with_an_error, clang, sort_in_threads, shell, awk, git, xz_in_threads, redis)
    with tempfile.TemporaryDirectory() as folder:
        return tap.run(tests, Place(*sys.argv[1:3], folder))


if __name__ == "__main__":
    sys.exit(main())
