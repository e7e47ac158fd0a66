#!/usr/bin/env python3
"""Reclaim for real: guests under QEMU (MMIO and PCI) and Firecracker, their memory seen from the host. TAP.

    guest_test.py WEIR [SOURCE_ROOT] [--only WORD]... [--full | --measure]

WEIR is the tool. Firecracker is skipped, with a line, where the tool does not find one; FIRECRACKER may name it.
Without --full, hosts other than microvm run only what they can change.
--measure prints rates instead of testing.
"""
import argparse
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import tap

HOSTS = {
    "microvm": ["--vmm=qemu", "--machine=microvm"],
    "q35": ["--vmm=qemu", "--machine=q35"],
    "firecracker": ["--vmm=firecracker"],
}


class Guests:
    """Builds each guest program once and runs it on the hosts."""

    def __init__(self, weir, root, folder):
        self.weir, self.root, self.folder = weir, root, folder
        self.images = {}

    def image(self, program):
        if program not in self.images:
            image = self.folder / f"{program}.img"
            subprocess.run([self.weir, "build", self.root / f"tests/reclaim/guest/{program}.c", "-o", image,
                            "-I", self.root, "-I", self.root / "include"], check=True)
            self.images[program] = image
        return self.images[program]

    def run(self, host, program, *arguments, memory="1G", cpus=1, balloon=None, options=()):
        """The tool's report of one run, its samples as (t, rss) and its phases by name (the last of each)."""
        words = list(HOSTS[host])
        if host == "firecracker":
            binary = os.environ.get("FIRECRACKER") or shutil.which("firecracker")
            if binary is None:
                raise tap.Skip("no firecracker in the PATH")
            if not os.access("/dev/kvm", os.R_OK | os.W_OK):
                raise tap.Skip("Firecracker needs /dev/kvm")
            words.append(f"--firecracker={binary}")
        if balloon:
            words.append(f"--balloon={balloon}")
        path = self.folder / "report.json"
        path.unlink(missing_ok=True)
        command = [self.weir, "run", self.image(program), *words, f"--memory={memory}", f"--cpus={cpus}",
                   f"--json={path}", "--timeout=120", *(f"--option={option}" for option in options),
                   "--", *map(str, arguments)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"exit code {done.returncode}: {done.stdout.strip()[-500:]}")
        report = json.loads(path.read_text())
        report["phase"] = {phase["name"]: phase for phase in report["phases"]}
        return report


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def rss_at(report, time):
    """The least RSS seen up to `time`, from a little before it."""
    return min((s["rss_mib"] for s in report["samples"] if time - 0.2 <= s["t"] <= time), default=float("inf"))


def came_home(report):
    """When RSS was first back where it was before, counted from the free; None if never."""
    before, freed = report["phase"]["before"]["rss_mib"], report["phase"]["freed"]["t"]
    limit = before + max(0.1 * before, 8)
    times = [s["t"] - freed for s in report["samples"] if s["t"] >= freed and s["rss_mib"] <= limit]
    return times[0] if times else None


def freed_memory_goes_home(guests, host, *arguments, cpus=1):
    report = guests.run(host, "burst", 256, *arguments, cpus=cpus)
    before, peak = report["phase"]["before"]["rss_mib"], report["phase"]["peak"]["rss_mib"]
    check(peak >= before + 230, f"touching 256 MiB took RSS from {before} to {peak} MiB only")
    home = came_home(report)
    check(home is not None and home < 3,
          f"RSS {before} MiB before, {peak} at the peak, {rss_at(report, report['phase']['freed']['t'] + 3)} 3 s after")
    return f"{before:.0f} -> {peak:.0f} MiB, back after {home:.2f} s"


def balloon_follows(guests, host, *arguments, size=256):
    """Touches a little more than `size` MiB of twice as much memory, then has `size` MiB taken and given back."""
    slow = size > 512
    report = guests.run(host, "balloon", size * 11 // 10, size, size * 17 // 10, *arguments, memory=f"{2 * size}M",
                        balloon=f"{size}M@{12 if slow else 5},0@{20 if slow else 9}")
    phase = report["phase"]
    touched = phase["touched"]["rss_mib"] - phase["before"]["rss_mib"]
    check(touched >= size, f"touching {size * 11 // 10} MiB took {touched} MiB of the host")
    check(phase["inflated"]["ballooned_mib"] == size, f"{phase['inflated']['ballooned_mib']} MiB in the balloon")
    gone = phase["touched"]["rss_mib"] - phase["inflated"]["rss_mib"]
    check(gone >= 0.95 * size, f"the host got {gone} MiB of the {size} back")
    check(phase["deflated"]["ballooned_mib"] == 0, f"{phase['deflated']['ballooned_mib']} MiB left in the balloon")
    check(phase["again"]["rss_mib"] >= size * 1.65, "the guest cannot use its memory again")
    return f"{gone:.0f} MiB came back"


def what_bounces_stays(guests, host, busy, pause):
    report = guests.run(host, "bounce", 256, busy, pause, 500)
    bounced = report["phase"]["end"]["bounced_mib"]
    check(bounced <= 4 * 256, f"{bounced} MiB bounced in 4 s")
    return f"{bounced} MiB bounced, a cycle takes {report['phase']['bounce']['ratio']} of what it takes without"


def balloon_gives_way(guests, host):
    report = guests.run(host, "relief", 150, memory="256M", balloon="max@0.5")
    phase = report["phase"]
    check(phase["inflated"]["free_mib"] <= 8, f"{phase['inflated']['free_mib']} MiB left free by the balloon")
    check(phase["relieved"]["rss_mib"] >= 150, "the memory was not touched")
    return f"{phase['inflated']['ballooned_mib']} MiB in the balloon, {phase['relieved']['ballooned_mib']} after relief"


def small_guest(guests, host):
    report = guests.run(host, "burst", 8, "idle", memory="16M")
    reported = report["phase"]["end"]["reported_mib"]
    check(reported >= 7, f"{reported} MiB of 8 were reported")
    return f"{reported} MiB of 8 were reported"


TESTS = {
    "freed memory goes home, guest idle": lambda guests, host: freed_memory_goes_home(guests, host, "idle"),
    "freed memory goes home, guest busy": lambda guests, host: freed_memory_goes_home(guests, host, "busy"),
    "freed memory goes home, small objects": lambda guests, host: freed_memory_goes_home(guests, host, "idle", 1000, cpus=2),
    "the balloon follows its target": balloon_follows,
    "the balloon follows its target without reporting": lambda guests, host: balloon_follows(guests, host, "quiet"),
    "a gigabyte of two": lambda guests, host: balloon_follows(guests, host, size=1024),
    "what bounces stays": lambda guests, host: what_bounces_stays(guests, host, 0, 0),
    "the balloon gives way to the program": balloon_gives_way,
    "a guest of 16 MiB": small_guest,
}


# What another host and another transport can change.
ELSEWHERE = ("freed memory goes home, guest idle", "the balloon follows its target")


def measure(guests):
    for host in HOSTS:
        try:
            for program, arguments, options in (
                    ("speed", (1024,), {"memory": "2G"}),
                    ("balloon", (1100, 1024, 1700), {"memory": "2G", "balloon": "1G@12,0@20"}),
                    ("balloon", (1100, 1024, 1700, "quiet"), {"memory": "2G", "balloon": "1G@12,0@20"}),
                    ("bounce", (256, 0, 0, 1000), {}), ("bounce", (256, 100, 50, 2000), {}),
                    ("bounce", (256, 100, 150, 3000), {}), ("bounce", (256, 100, 500, 4000), {})):
                report = guests.run(host, program, *arguments, **options)
                for phase in report["phases"]:
                    print(host, program, *arguments, phase, flush=True)
        except tap.Skip as skip:
            print(host, "skipped:", skip)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weir", type=pathlib.Path)
    parser.add_argument("root", type=pathlib.Path, nargs="?", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--full", action="store_true", help="all tests on all hosts")
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        guests = Guests(options.weir.resolve(), options.root.resolve(), pathlib.Path(folder))
        if options.measure:
            measure(guests)
            return 0
        return tap.run([(f"{host}: {name}", functools.partial(TESTS[name], host=host)) for host in HOSTS for name in TESTS
                        if all(word in f"{host}: {name}" for word in options.only)
                        and (options.full or host == "microvm" or name in ELSEWHERE)], guests)


if __name__ == "__main__":
    sys.exit(main())
