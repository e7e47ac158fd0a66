#!/usr/bin/env python3
"""Compares weir's malloc with others, on benchmark programs and on real applications, side by side.

Every program runs under every allocator (LD_PRELOAD) in interleaved rounds; what is compared are medians. An allocator
that crashes, hangs or gives a wrong answer gets that as its result. Prints a table; leaves results.csv, results.json
and plot.svg in the output directory. See docs/benchmarks.md.
"""
import argparse
import dataclasses
import fnmatch
import hashlib
import json
import mmap
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no __pycache__ beside the scripts
import bench_report

ROOT = pathlib.Path(__file__).resolve().parent.parent
APPLICATIONS = ROOT / "bench" / "applications"

# name, file, Debian package; the first is glibc's own malloc, whose file is asked of the linker
PEERS = [
    ("glibc", None, "libc6"),
    ("mimalloc", "libmimalloc.so.2", "libmimalloc2.0"),
    ("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
    ("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    ("tbbmalloc", "libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
]
APPLICATION_PACKAGES = ["lua5.4", "sqlite3", "python3", "perl", "ghostscript", "gcc", "clang", "redis-server",
                        "redis-tools"]
TOOL_PACKAGES = ["gnuplot-nox", "valgrind", "binutils"]
LIBRARY_PATHS = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib"]

WARM_AT_FIRST = 512 << 20  # bytes: what is touched before a program whose memory is not known yet
SLOW = 8  # seconds: what takes longer than this runs only twice

SINGLE, TWO, LARGE, REAL = "single-threaded", "two threads", "large objects", "applications"


@dataclasses.dataclass
class Allocator:
    name: str
    file: str  # what is preloaded; empty for musl, with which programs are linked


@dataclasses.dataclass
class Program:
    name: str
    group: str
    command: list  # the program and its arguments
    quick: list  # arguments added for a short run
    full: list = dataclasses.field(default_factory=list)  # arguments added otherwise
    environment: dict = dataclasses.field(default_factory=dict)
    checked: bool = False  # its output must be that of a run under glibc; else it checks itself
    server: bool = False  # the command is a server, `full` and `quick` are the client's arguments


# The programs of bench/malloc; without arguments each runs for about a second on two processors.
PROGRAMS = [
    Program("cfrac", SINGLE, ["cfrac"], ["p=59020525763", "q=3702014635003"]),
    Program("espresso", SINGLE, ["espresso"], ["functions=1"]),
    Program("glibc-simple", SINGLE, ["glibc-simple"], ["pairs=200000"]),
    Program("alloc-test1", SINGLE, ["alloc-test"], ["visits=500000"]),
    Program("drift", SINGLE, ["drift"], ["phases=10", "objects=40000"]),
    Program("alloc-testN", TWO, ["alloc-test", "threads=2"], ["visits=800000"], ["visits=10000000"]),
    Program("larson", TWO, ["larson"], ["generations=4"]),
    Program("larson-sized", TWO, ["larson", "sized=1"], ["generations=4"]),
    Program("xmalloc-test", TWO, ["xmalloc-test"], ["batches=800"]),
    Program("sh6bench", TWO, ["shbench"], ["passes=800"]),
    Program("sh8bench", TWO, ["shbench", "foreign=4"], ["passes=800"]),
    Program("mstress", TWO, ["mstress"], ["rounds=30"]),
    Program("rptest", TWO, ["rptest"], ["loops=3000"]),
    Program("cache-scratch", TWO, ["cache", "given=1"], ["writes=50000"]),
    Program("cache-thrash", TWO, ["cache"], ["writes=50000"]),
    Program("glibc-thread", TWO, ["glibc-thread"], ["replacements=4000000"]),
    Program("threadtest", TWO, ["threadtest"], ["iterations=150"]),
    Program("linux-scalability", TWO, ["linux-scalability"], ["pairs=6000000"]),
    Program("phong", TWO, ["phong"], ["steps=2000000"]),
    Program("mleak", TWO, ["mleak"], ["generations=400"]),
    Program("malloc-large", LARGE, ["malloc-large"], ["replacements=40", "live=8"]),
    Program("transfer", LARGE, ["transfer"], ["buffers=4000"]),
    Program("grow", LARGE, ["grow"], ["pieces=200000"]),
]


def applications(scratch):
    """Real programs from Debian. Those that are not installed are reported and left out."""
    source = str(scratch / "program.c")
    picture = ["gs", "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-sDEVICE=ppmraw", "-r72", "-sOutputFile=-"]
    return [
        Program("lua", REAL, ["lua5.4", str(APPLICATIONS / "objects.lua")], ["3"], checked=True),
        Program("sqlite", REAL, ["sqlite3", ":memory:"],
                [".parameter set :rows 20000", f".read {APPLICATIONS}/database.sql"],
                [".parameter set :rows 150000", f".read {APPLICATIONS}/database.sql"], checked=True),
        # without Python's own allocator of small objects on top
        Program("python", REAL, ["/usr/bin/python3", str(APPLICATIONS / "objects.py")], ["1"], checked=True,
                environment={"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}),
        Program("perl", REAL, ["perl", str(APPLICATIONS / "text.pl")], ["1"], checked=True,
                environment={"PERL_HASH_SEED": "0"}),
        Program("ghostscript", REAL, picture, ["-dPAGES=1", str(APPLICATIONS / "picture.ps")],
                ["-dPAGES=6", str(APPLICATIONS / "picture.ps")], checked=True),
        Program("gcc", REAL, ["gcc", "-O1", "-w", "-S", "-o", "-", source], [], checked=True),
        Program("clang", REAL, ["clang", "-O1", "-w", "-S", "-o", "-", source], [], checked=True),
        Program("redis", REAL, ["redis-server"], ["-n", "15000"], ["-n", "150000"], server=True),
    ]


last_said = 0.0


def say(text):
    """Progress on stderr: one line that the next one overwrites, or in a log a line now and then."""
    global last_said
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", file=sys.stderr, end="", flush=True)
    elif text and time.monotonic() - last_said > 10:
        last_said = time.monotonic()
        print(text, file=sys.stderr, flush=True)


def note(text):
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{start}bench: {text}", file=sys.stderr, flush=True)


def fail(text):
    sys.exit(f"bench: {text}")


def install():
    packages = [package for _, _, package in PEERS] + ["musl-tools"] + APPLICATION_PACKAGES + TOOL_PACKAGES
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    subprocess.run([*sudo, "apt-get", "update", "-q"], check=True)
    subprocess.run([*sudo, *environment, "apt-get", "install", "-q", "-y", "--no-install-recommends", *packages],
                   check=True)


class Bench:
    """Runs programs under allocators through bench/malloc/measure, which knows time and memory."""

    def __init__(self, build, scratch, quick, timeout):
        self.directory = build / "bench" / "malloc"
        self.scratch = scratch
        self.quick = quick
        self.timeout = timeout
        self.expected = {}  # program: digest of its output under glibc
        if not (self.directory / "measure").exists():
            fail(f"{self.directory}/measure is missing: run `make build` first")

    def origin_of_malloc(self, file):
        """The file that malloc really comes from when `file` is preloaded, and what the linker complains about."""
        environment = dict(os.environ, LD_PRELOAD=file) if file else os.environ
        try:
            run = subprocess.run([self.directory / "loaded"], env=environment, capture_output=True, text=True,
                                 timeout=20)
        except subprocess.TimeoutExpired:
            return "", "it hangs at start"
        if run.returncode:
            return "", run.stderr.strip() or bench_report.status_text(run.returncode)
        return os.path.realpath(run.stdout.strip()), run.stderr.strip()

    def command(self, program, allocator=None):
        executable = program.command[0]
        if program.group != REAL:
            linked = allocator and not allocator.file
            executable = str(self.directory / (f"{allocator.name}-{executable}" if linked else executable))
        arguments = program.quick if self.quick else program.full
        return [executable, *program.command[1:], *([] if program.server else arguments)]

    def can_run(self, program, allocator):
        return bool(allocator.file) or os.path.exists(self.command(program, allocator)[0])

    def start(self, program, allocator, command, output, errors):
        """Returns the process of measure and the file from which its report will come."""
        read_end, write_end = os.pipe()
        preload = ["--preload", allocator.file] if allocator.file else []
        process = subprocess.Popen(
            [self.directory / "measure", "--report", str(write_end), *preload, "--timeout", str(self.timeout), "--",
             *command],
            pass_fds=[write_end], stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=self.scratch,
            env={**os.environ, **program.environment})
        os.close(write_end)
        return process, os.fdopen(read_end)

    def run(self, program, allocator):
        if program.server:
            return self.run_server(program, allocator)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process, pipe = self.start(program, allocator, self.command(program, allocator),
                                       output if program.checked else subprocess.DEVNULL, errors)
            with pipe:
                report = pipe.read()
            process.wait()
            errors.seek(0)
            sample = bench_report.sample_of(report, errors.read().decode(errors="replace"))
            if sample.outcome == "ok" and program.checked:
                output.seek(0)
                digest = hashlib.file_digest(output, "sha256").hexdigest()
                if digest != self.expected.setdefault(program.name, digest):
                    return dataclasses.replace(sample, outcome="wrong output")
            return sample

    def run_server(self, program, allocator):
        """redis-server under the allocator, and its own benchmark, whose time counts."""
        with tempfile.TemporaryDirectory(prefix="weir-bench-") as directory, tempfile.TemporaryFile() as errors:
            socket = f"{directory}/socket"
            command = [*self.command(program), "--port", "0", "--unixsocket", socket, "--dir", directory, "--save", "",
                       "--appendonly", "no", "--logfile", f"{directory}/log"]
            process, pipe = self.start(program, allocator, command, subprocess.DEVNULL, errors)
            with pipe:
                seconds, complaint = self.load_server(program, process, socket)
                process.send_signal(signal.SIGTERM)
                report = pipe.read()
            process.wait()
            errors.seek(0)
            sample = bench_report.sample_of(report, errors.read().decode(errors="replace"))
            if sample.outcome != "ok":
                return sample
            return dataclasses.replace(sample, outcome=complaint or "ok", seconds=seconds)

    def load_server(self, program, process, socket):
        """Returns the seconds of the client's run, and what was wrong with it or None."""
        client = ["redis-cli", "-s", socket]
        deadline = time.monotonic() + 10
        while subprocess.run([*client, "ping"], capture_output=True, check=False).stdout != b"PONG\n":
            if process.poll() is not None or time.monotonic() > deadline:
                return 0.0, "the server does not answer"
            time.sleep(0.02)
        arguments = program.quick if self.quick else program.full
        start = time.monotonic()
        try:
            load = subprocess.run(["redis-benchmark", "-s", socket, "-q", "-c", "20", "-P", "16", "-r", "50000", "-d",
                                   "200", "-t", "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset", *arguments],
                                  capture_output=True, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            return float(self.timeout), "timeout"
        seconds = time.monotonic() - start
        text = "x" * 3000
        subprocess.run([*client, "set", "check", text], capture_output=True)
        answer = subprocess.run([*client, "get", "check"], capture_output=True, text=True).stdout.strip()
        if load.returncode:
            return seconds, "its benchmark failed"
        return seconds, None if answer == text else "wrong answer"


def find_allocators(bench, build, named):
    """weir, the peers that are installed and those the user names: each only if malloc really comes from it."""
    libc, _ = bench.origin_of_malloc(None)
    candidates = [Allocator("weir", str(build / "libweir.so"))]
    for name, file, package in PEERS:
        paths = [libc] if file is None else [f"{directory}/{file}" for directory in LIBRARY_PATHS]
        path = next((path for path in paths if os.path.exists(path)), None)
        if path:
            candidates.append(Allocator(name, path))
        else:
            note(f"{name} is not installed (Debian package {package}); --setup installs it")
    if (bench.directory / "musl-pairs").exists():
        candidates.append(Allocator("musl", ""))
    else:
        note("musl is not installed (Debian package musl-tools)")
    for word in named:
        name, _, file = word.rpartition("=")
        name = name or pathlib.Path(file).name.removeprefix("lib").split(".so")[0]
        while any(candidate.name == name for candidate in candidates):
            name += "'"
        candidates.append(Allocator(name, os.path.abspath(file)))
    found = []
    for candidate in candidates:
        if not candidate.file:
            found.append(candidate)
            continue
        origin, complaint = bench.origin_of_malloc(candidate.file)
        if origin == os.path.realpath(candidate.file):
            found.append(candidate)
        else:
            note(f"{candidate.name} is left out: {complaint or f'malloc comes from {origin}'}")
    return found


def find_programs(bench, scratch, patterns, with_applications):
    programs = []
    for program in PROGRAMS + (applications(scratch) if with_applications else []):
        names = (program.name, program.group)
        if patterns and not any(fnmatch.fnmatch(name, pattern) for name in names for pattern in patterns):
            continue
        executable = bench.command(program)[0]
        if shutil.which(executable):
            programs.append(program)
        else:
            note(f"{program.name} is left out: {os.path.basename(executable)} is not installed")
    return programs


def warm_memory(size):
    """Touches memory and gives it back, in huge pages where there are any. In a virtual machine the first touch of a
    page that the host does not back takes up to ten times as long, and whether it does is chance: without this
    malloc-large took 0.2 s or 1.5 s under one and the same allocator."""
    available = os.sysconf("SC_AVPHYS_PAGES") * mmap.PAGESIZE
    size = min(size, available // 4) // mmap.PAGESIZE * mmap.PAGESIZE
    if size == 0:
        return
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        try:
            memory.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            pass  # a kernel without them
        memory[::mmap.PAGESIZE] = bytes(size // mmap.PAGESIZE)


def run_rounds(bench, programs, allocators, rounds, budget):
    """{program: {allocator: [samples]}}; the order of allocators is shuffled for each program and round: what one of them
    leaves behind shall not always be the same other's.

    Every program runs at least once, and is left out of later rounds that the budget of seconds does not allow.
    """
    samples = {program.name: {allocator.name: [] for allocator in allocators} for program in programs}
    chance = random.Random(rounds)
    start = time.monotonic()
    total = rounds * len(programs)
    for done in range(total):
        number, program = done // len(programs), programs[done % len(programs)]
        elapsed = time.monotonic() - start
        if budget and number > 0 and elapsed > budget:
            note(f"stopped in round {number + 1} of {rounds}, to stay within two minutes")
            break
        left = f"  about {elapsed * (total / done - 1):.0f} s to go" if done else ""
        for allocator in chance.sample(allocators, len(allocators)):
            so_far = samples[program.name][allocator.name]
            failures = [sample.outcome for sample in so_far if sample.outcome != "ok"]
            slow = len(so_far) >= 2 and min(sample.seconds for sample in so_far) > SLOW
            if not bench.can_run(program, allocator) or len(failures) >= 2 or "timeout" in failures or slow:
                continue
            say(f"[{100 * done // total:3d} %] round {number + 1}/{rounds}  {program.name}  {allocator.name}{left}")
            warm_memory(max((sample.rss for of_one in samples[program.name].values() for sample in of_one),
                            default=WARM_AT_FIRST))
            sample = bench.run(program, allocator)
            so_far.append(sample)
            if sample.outcome != "ok":
                note(f"{program.name} under {allocator.name}: {sample.outcome}"
                     + (f" ({sample.complaint})" if sample.complaint else ""))
    say("")
    return samples


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short runs: done in about two minutes")
    parser.add_argument("--rounds", type=int, help="how often each program runs (default 5; 3 with --quick)")
    parser.add_argument("--alloc", action="append", default=[], metavar="[NAME=]FILE",
                        help="one more shared object to compare (repeatable)")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN",
                        help="only programs or groups of this name (repeatable)")
    parser.add_argument("--allocators", default="", metavar="NAMES", help="only these, separated by commas")
    parser.add_argument("--no-applications", action="store_true", help="only the programs of bench/malloc")
    parser.add_argument("--baseline", default="mimalloc", help="ratios are to this allocator (default mimalloc)")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall",
                        help="compare wall time, or processor time when the machine is not idle")
    parser.add_argument("--timeout", type=int, help="seconds until a run counts as hanging (default 60, 20 quick)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="Meson's build directory")
    parser.add_argument("--out", type=pathlib.Path, help="where results go (default bench in the build directory)")
    parser.add_argument("--setup", action="store_true", help="first install peers and applications from Debian")
    parser.add_argument("--report", type=pathlib.Path, metavar="JSON", help="run nothing: print an earlier result")
    options = parser.parse_args()
    options.alloc = [word for value in options.alloc for word in value.split()]
    options.build = options.build.resolve()
    options.out = (options.out or options.build / "bench").resolve()
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.timeout = options.timeout or (20 if options.quick else 60)
    return options


def measure(options):
    options.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.build, options.out, options.quick, options.timeout)
    allocators = find_allocators(bench, options.build, options.alloc)
    if options.allocators:
        allocators = [allocator for allocator in allocators if allocator.name in options.allocators.split(",")]
    if not allocators:
        fail("no allocator to measure")
    programs = find_programs(bench, options.out, options.only, not options.no_applications)
    if not programs:
        fail("no such program")
    size = "12" if options.quick else "80"
    with open(options.out / "program.c", "wb") as source:
        subprocess.run([sys.executable, APPLICATIONS / "program.py", size], stdout=source, check=True)
    reference = next((allocator for allocator in allocators if allocator.name == "glibc"), allocators[0])
    for program in programs:
        if program.checked:
            say(f"the right output of {program.name}")
            bench.run(program, reference)
    load = os.getloadavg()[0]
    if load > 0.7 and options.clock == "wall":
        note(f"the load of this machine was {load:.1f}: ratios of wall time will be rough (--clock cpu helps)")
    samples = run_rounds(bench, programs, allocators, options.rounds, 105 if options.quick else 0)
    return bench_report.results_of(samples, {program.name: program.group for program in programs},
                                   {allocator.name: allocator.file for allocator in allocators}, options.quick)


def main():
    options = parse_arguments()
    if options.setup:
        install()
    if options.report:
        results = json.loads(options.report.read_text())
    else:
        results = measure(options)
        bench_report.write_json(results, options.out / "results.json")
    names = list(results["allocators"])
    baseline = next((name for name in (options.baseline, "glibc") if name in names), names[0])
    report = bench_report.Report(results, baseline, options.clock)
    print(report.table(color=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    if not options.report:
        report.write_csv(options.out / "results.csv")
        plotted = report.write_plot(options.out / "plot.svg")
        written = ["results.csv", "results.json"] + (["plot.svg"] if plotted else [])
        note(f"{', '.join(written)} in {options.out}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nbench: interrupted")
