#!/usr/bin/env python3
"""Runs the whole test suite: on the host, under sanitizers, in guests; prints `N passed, N failed` last.

Each build directory is configured once and reused. Test results come from Meson's JUnit report, which knows every
single TAP test point; a program that dies before its first point counts as one failure.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent

# name, build directory, Meson options, suites left out (guests are the same images whatever the host's sanitizer)
BUILDS = [
    ("host and guests", "build", [], []),
    ("address and undefined-behaviour sanitizers", "build/asan",
     ["-Db_sanitize=address,undefined"], ["guest", "format"]),
    # the tool is one thread: its guests find nothing here
    ("thread sanitizer", "build/tsan", ["-Db_sanitize=thread"], ["guest", "tools-guest", "format"]),
]


def say(text):
    print(text, flush=True)


def run(command, **kwargs):
    return subprocess.run(command, cwd=ROOT, **kwargs)


def build(directory, options):
    if not (ROOT / directory / "build.ninja").exists():
        setup = run(["meson", "setup", directory, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if setup.returncode:
            say(setup.stdout)
            return False
    ninja = run(["ninja", "-C", directory], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ninja.returncode:
        say(ninja.stdout)
    return ninja.returncode == 0


def test(directory, left_out, only):
    """Returns (passed, failed, skipped, names of failures)."""
    report = ROOT / directory / "meson-logs" / "testlog.junit.xml"
    report.unlink(missing_ok=True)
    command = ["meson", "test", "-C", directory, "--no-rebuild", "--print-errorlogs"]
    for suite in left_out:
        command += ["--no-suite", suite]
    for suite in only:
        command += ["--suite", suite]
    status = run(command).returncode
    passed, skipped, failures = 0, 0, []
    if report.exists():
        for suite in xml.parse(report).getroot().iter("testsuite"):
            for case in suite.iter("testcase"):
                name = f"{suite.get('name')}: {case.get('name')}"
                if case.find("failure") is not None or case.find("error") is not None:
                    failures.append(name)
                elif case.find("skipped") is not None:
                    skipped += 1
                else:
                    passed += 1
    if status and not failures:
        failures.append(f"{directory}: a test program failed outside its test points (status {status})")
    return passed, len(failures), skipped, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no sanitizer builds")
    parser.add_argument("--suite", action="append", default=[], help="only this suite (repeatable)")
    options = parser.parse_args()
    passed = failed = skipped = 0
    failures = []
    for name, directory, settings, left_out in BUILDS[:1] if options.quick else BUILDS:
        start = time.monotonic()
        say(f"--- {name}: building in {directory}")
        if not build(directory, settings):
            failed += 1
            failures.append(f"{name}: the build failed")
            continue
        p, f, s, names = test(directory, left_out, options.suite)
        passed, failed, skipped, failures = passed + p, failed + f, skipped + s, failures + names
        say(f"--- {name}: {p} passed, {f} failed, {s} skipped in {time.monotonic() - start:.0f} s")
    for name in failures:
        say(f"FAILED {name}")
    if skipped:
        say(f"{skipped} skipped (each says why in its log)")
    say(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=1:allocator_may_return_null=1")
    os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    os.environ.setdefault("TSAN_OPTIONS", "halt_on_error=1:second_deadlock_stack=1")
    sys.exit(main())
