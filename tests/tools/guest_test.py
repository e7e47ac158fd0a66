#!/usr/bin/env python3
"""Real guests, built and run by `weir`, as TAP.

    guest_test.py WEIR EXAMPLES

Firecracker's part runs if there is one on the PATH or in $FIRECRACKER, and KVM; else it is skipped.
"""
import json
import os
import shutil
import subprocess
import sys

from place import WEIR, Skip, expect, main, test

EXAMPLES = sys.argv[2]

ECHO = r"""
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("[%s]", argv[i]);
    const char *value = getenv("VALUE");
    printf("{%s}\n", value ? value : "none");
    return argc > 1 ? atoi(argv[1]) : 0;
}
"""

CRASH = r"""
#include <stdio.h>
#include <stdlib.h>
static volatile int *nowhere;
__attribute__((noinline)) void the_culprit(void) { *nowhere = 1; }
int main(int argc, char **argv)
{
    puts("before");
    if (argc > 1)
        abort();
    the_culprit();
    return 0;
}
"""


def machines():
    found = [["--machine=microvm", "--accel=tcg"], ["--machine=q35", "--accel=tcg"]]
    if os.access("/dev/kvm", os.W_OK):
        found += [["--machine=microvm", "--accel=kvm"], ["--machine=q35", "--accel=kvm"]]
    return found


def firecracker():
    if not os.access("/dev/kvm", os.W_OK):
        return None
    return os.environ.get("FIRECRACKER") or shutil.which("firecracker")


def build(place, source, *options, name="job"):
    image = place.file(name + ".img")
    expect(place.weir("build", source, "-o", image, *options), 0)
    return image


# --- building ------------------------------------------------------------------------------------


@test
def sources_run(place):
    result = place.weir("run", os.path.join(EXAMPLES, "hello.c"))
    expect(result, 0)
    assert result.stdout, "hello says nothing"
    assert place.left() == []


@test
def every_malloc_can_be_had(place):
    source = place.file("m.c", "#include <stdlib.h>\n#include <stdio.h>\n#include <string.h>\nint main(void) { char *p = malloc(100000);"
                        " memset(p, 7, 100000); p = realloc(p, 3000000); printf(\"%d\\n\", p[99999]); free(p); return 0; }\n")
    for name in ("weir", "musl", "jemalloc"):
        image = build(place, source, "--malloc=" + name, name=name)
        path = place.file("out.json")
        expect(place.weir("run", image, "--json", path), 0, out=b"7\n")
        assert json.load(open(path))["image"]["malloc"] == name
    expect(place.weir("run", image, "--malloc=weir"), 125, "was built with --malloc=jemalloc")


@test
def cpp_runs(place):
    source = place.file("c.cc", r"""
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
int main()
{
    std::map<std::string, int> words;
    for (const char *word : {"one", "two", "two"})
        words[word]++;
    try {
        words.at("three");
    } catch (const std::out_of_range &) {
        std::cout << "caught " << words["two"] << std::endl;
    }
}
""")
    expect(place.weir("run", source), 0, out=b"caught 2\n")


@test
def new_throws_when_memory_is_out(place):
    source = place.file("new.cc", '#include <cstdio>\n#include <new>\nint main() { try { for (;;) *new char[1 << 20] = 1; }'
                        ' catch (const std::bad_alloc &) { std::puts("caught"); return 3; } }\n')
    expect(place.weir("run", source, "--memory=24M", "--timeout=100"), 3, out=b"caught\n")


@test
def objects_archives_and_libraries_link(place):
    one = place.file("one.c", "int one(void) { return ONE; }\n")
    subprocess.run(["gcc", "-c", "-fno-pie", "-DONE=40", one, "-o", place.file("one.o")], check=True)
    two = place.file("two.c", "int two(void) { return 2; }\n")
    subprocess.run(["gcc", "-c", "-fno-pie", two, "-o", place.file("two.o")], check=True)
    subprocess.run(["ar", "rcs", place.file("libtwo.a"), place.file("two.o")], check=True)
    place.file("three.h", "#define THREE 3\n")
    source = place.file("main.c", "#include <math.h>\n#include <three.h>\nint one(void), two(void);\nvolatile double x = 9;\n"
                        "int main(void) { return one() + two() + THREE + (int)sqrt(x) + FOUR; }\n")
    expect(place.weir("run", source, place.file("one.o"), "-L", place.root, "-ltwo", "-lm", "-I", place.root, "-DFOUR=4", "-O1"), 52)
    expect(place.weir("run", source, place.file("one.o"), place.file("libtwo.a"), "-I" + place.root, "--cflags=-DFOUR=5 -O3"), 53)


@test
def what_does_not_build_is_said(place):
    source = place.file("bad.c", "int main(void) { return nonsense; }\n")
    expect(place.weir("build", source, "-o", place.file("x.img")), 125, "nonsense", "weir: " + source + " does not compile")
    expect(place.weir("run", source), 125, "does not compile")
    assert not os.path.exists(place.file("x.img"))
    source = place.file("open.c", "int missing(void);\nint main(void) { return missing(); }\n")
    expect(place.weir("build", source, "-o", place.file("x.img")), 125, "missing", "does not link")
    source = place.file("good.c", "int main(void) { return 0; }\n")
    expect(place.weir("build", source, "-lnosuch", "-o", place.file("x.img")), 127, "there is no libnosuch.a")
    expect(place.weir("build", place.file("no.c"), "-o", place.file("x.img")), 127, "no.c: No such file")
    expect(place.weir("build", place.file("text.txt", "x"), "-o", place.file("x.img")), 125, "nothing to build from")
    expect(place.weir("build", source, "-o", source), 125, "overwrite an input")
    expect(place.weir("build", source, "-o", place.root), 125, "directory")
    expect(place.weir("build", source, "-o", place.file("x.img"), CC="no-such-cc"), 127, "no-such-cc is not installed")
    expect(place.weir("build", source, "-o", place.file("x.img"), WEIR_LIB="/tmp"), 127, "/tmp/platform", "WEIR_LIB")
    assert place.left() == []


@test
def other_compilers_work(place):
    if shutil.which("clang") is None:
        raise Skip("no clang here")
    source = place.file("echo.c", ECHO)
    expect(place.weir("run", source, "--", "3", CC="clang"), 3, out=b"[echo][3]{none}\n")


@test
def intermediate_files_are_kept_when_asked(place):
    source = place.file("good.c", "int main(void) { return 0; }\n")
    result = place.weir("build", source, "-o", place.file("x.img"), "--keep", "--verbose", "-g")
    expect(result, 0, "intermediate files are in " + place.tmp, "-nostdinc")
    assert len(place.left()) == 1


# --- running -------------------------------------------------------------------------------------


@test
def one_image_runs_on_all_machines(place):
    image = build(place, place.file("echo.c", ECHO))
    for machine in machines():
        result = place.weir("run", image, *machine, "--memory=16M", "--", "41", "b c")
        expect(result, 41, out=b"[job][41][b c]{none}\n")


@test
def arguments_arrive(place):
    image = build(place, place.file("echo.c", ECHO))
    arguments = ["7", "", "it's", 'say "no"', "back\\slash", "x -- y", "--", "naïve ☃", "tab\there", " pad "]
    result = place.weir("run", image, "--env", "VALUE=a \"b' -- c", "--", *arguments)
    expect(result, 7, out=("[job]" + "".join("[%s]" % a for a in arguments) + "{a \"b' -- c}\n").encode())


@test
def exit_codes_arrive(place):
    image = build(place, place.file("echo.c", ECHO))
    for code in (0, 1, 42, 128, 255):
        expect(place.weir("run", image, "--", str(code)), code)


@test
def a_crash_is_explained(place):
    image = build(place, place.file("crash.c", CRASH))
    result = place.weir("run", image)
    expect(result, 139, "the program ended with SIGSEGV (exit 139)")
    assert result.stdout.startswith(b"before\n") and b"the_culprit" in result.stdout and b"main" in result.stdout, result.stdout
    result = place.weir("run", image, "--", "abort")
    expect(result, 134, "the program ended with SIGABRT (exit 134)")


@test
def a_guest_that_hangs_is_killed(place):
    source = place.file("hang.c", "int main(void) { for (volatile int i = 0;; i++) ; }\n")
    expect(place.weir("run", source, "--timeout=3"), 124, "did not end within 3 s")


@test
def stdin_arrives(place):
    source = place.file("cat.c", '#include <stdio.h>\nint main(void) { char line[100]; int n = 0; while (fgets(line, 100, stdin)) {'
                        ' n++; printf("<%s", line); fflush(stdout); } printf("%d lines\\n", n); return n; }\n')
    image = build(place, source)
    for text in ("one\ntwo\n", "one\ntwo"):
        expect(place.weir("run", image, "--timeout=100", stdin=text), 2, out=b"<one\n<two\n2 lines\n")
    expect(place.weir("run", image, "--timeout=100", stdin=""), 0, out=b"0 lines\n")


@test
def a_slow_reader_loses_nothing(place):
    source = place.file("flood.c", '#include <stdio.h>\nint main(void) { for (int i = 0; i < 20000; i++) printf("line %05d\\n", i); }\n')
    image = build(place, source)
    reader = subprocess.run([WEIR + " run " + image + " --accel=tcg | (sleep 4; cat)"], shell=True, capture_output=True, check=True)
    assert reader.stdout.decode().split("\n")[:-1] == ["line %05d" % i for i in range(20000)]


# What a guest takes, and gives back, seen from the host.
TAKE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
int main(int argc, char **argv)
{
    struct timespec pause = {0, 100000000};
    size_t size = 64u << 20;
    char *volatile p = malloc(size);
    if (!p)
        return 1;
    memset(p, 1, size);
    printf("\x1eweir phase full mib=64\n");
    fflush(stdout);
    nanosleep(&pause, NULL);
    free(p);
    for (int i = 0; i < atoi(argv[1]) * 10; i++)
        nanosleep(&pause, NULL);
    p = malloc(size);
    if (!p)
        return 2;
    memset(p, 2, size);
    for (size_t i = 0; i < size; i += 4096)
        if (p[i] != 2)
            return 3;
    return 0;
}
"""


def check_memory(place, *machine):
    image = build(place, place.file("take.c", TAKE))
    path = place.file("memory.json")
    result = place.weir("run", image, *machine, "--memory=128M", "--balloon=48M@4,0@8", "--json", path, "--", "12")
    expect(result, 0)
    report = json.load(open(path))
    full = report["phases"][0]
    assert full["name"] == "full" and full["mib"] == 64
    assert full["rss_mib"] > 64, report["rss_mib"]  # on a busy machine "start" may be seen when the guest has begun
    freed = [s["rss_mib"] for s in report["samples"] if full["t"] < s["t"] < 4]
    assert min(freed) < full["rss_mib"] - 40, (full, min(freed))
    balloon = [s["balloon_mib"] for s in report["samples"]]
    assert max(balloon) == 48, max(balloon)
    assert balloon[-1] == 0, balloon[-1]
    assert report["peak_bytes"] >= 64 << 20
    assert report["boot_ms"]["main"] >= report["boot_ms"]["entry"] > 0


@test
def memory_flows_back(place):
    check_memory(place)


@test
def firecracker_runs_the_same_image(place):
    binary = firecracker()
    if binary is None:
        raise Skip("no Firecracker on the PATH or in $FIRECRACKER, or no KVM")
    image = build(place, place.file("echo.c", ECHO))
    expect(place.weir("run", image, "--firecracker", binary, "--env", "VALUE=a\"b", "--", "41", "b c", "x -- y"), 41,
           out=b"[job][41][b c][x -- y]{a\"b}\n")
    check_memory(place, "--firecracker", binary)


@test
def the_bench_measures(place):
    out = place.file("results")
    result = place.weir("bench", "--out", out, "--examples", EXAMPLES, "--programs=lua", "--mallocs=weir,musl", timeout=280)
    expect(result, 0, "[1/2] lua on weir", "[2/2] lua on musl")
    assert b"VMM start" in result.stdout and b"lua      weir" in result.stdout, result.stdout
    results = json.load(open(os.path.join(out, "results.json")))
    assert list(results) == ["machine", "image", "boot_ms", "runs"]
    assert list(results["machine"]) == ["cpus", "accel", "why", "vmm", "version"]
    assert [(run["program"], run["allocator"], run["exit"]) for run in results["runs"]] == [("lua", "weir", 0), ("lua", "musl", 0)]
    for run in results["runs"]:
        assert list(run) == ["program", "allocator", "exit", "seconds", "live_bytes", "peak_bytes", "rss_mib"]
        assert list(run["rss_mib"]) == ["before", "peak", "after_free", "after_balloon"]
        assert run["seconds"] > 0 and 0 < run["live_bytes"] <= run["peak_bytes"]
        assert all(value > 0 for value in run["rss_mib"].values())
    assert place.left() == []


def missing():
    if shutil.which("qemu-system-x86_64") is None:
        return "no QEMU here"
    if not os.path.exists("/usr/lib/x86_64-linux-musl/libc.a"):
        return "no musl here"
    return None


if missing():
    print("1..0 # SKIP " + missing())
    sys.exit(0)
sys.exit(main(fakes=False))
