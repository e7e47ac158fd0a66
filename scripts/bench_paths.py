#!/usr/bin/env python3
"""Counts the instructions of malloc and free, of weir and of its peers.

Straight-line: the exported function is disassembled and followed from its entry to its first return, as if no
conditional jump were taken; allocators lay their fast path out like this. Executed: bench/malloc/pairs runs under
callgrind, with two numbers of pairs, whose difference leaves nothing but pairs in the steady state.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # no __pycache__ beside the scripts
import bench
import bench_report

ORDERS = ["freed at once", "last first", "first first"]  # the modes 0, 1, 2 of bench/malloc/pairs
WARM, LONG = 4096, 36864  # pairs of the two runs: multiples of a burst
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S.*?)\s*$")


def output_of(command, **kwargs):
    return subprocess.run(command, capture_output=True, text=True, check=True, **kwargs).stdout


def exported(file, name):
    """The address of an exported function, or None."""
    for line in output_of(["nm", "-D", "--defined-only", file]).splitlines():
        address, kind, symbol = line.split(maxsplit=2)
        if symbol.split("@")[0] == name and kind in "TWti":
            return int(address, 16)
    return None


def disassembled(file, start, length=600):
    """[(address, instruction)] from `start` on."""
    text = output_of(["objdump", "-d", "--no-show-raw-insn", f"--start-address={start:#x}",
                      f"--stop-address={start + length:#x}", file])
    return [(int(match[1], 16), match[2]) for match in map(INSTRUCTION.match, text.splitlines()) if match]


def touches_memory(instruction):
    mnemonic = instruction.split()[0]
    operands = instruction[len(mnemonic):].split("#")[0]
    return mnemonic in ("push", "pop") or (("(" in operands or "%fs:" in operands or "%gs:" in operands)
                                           and not mnemonic.startswith(("lea", "nop", "prefetch")))


def straight_line(file, name, limit=400):
    """The instructions from the entry of a function to its first return, and how they end if not so."""
    address = exported(file, name)
    if address is None:
        return [], "not exported"
    path = []
    listing = iter(disassembled(file, address))
    while len(path) < limit:
        _, instruction = next(listing, (0, "(bad)"))
        mnemonic, *operands = instruction.split()
        if mnemonic == "bnd":
            mnemonic, *operands = operands
        if mnemonic in ("data16", "cs", "nop", "nopw", "nopl", "xchg") and "%ax,%ax" in instruction:
            continue
        path.append(instruction)
        if mnemonic.startswith(("ret", "repz")):
            return path, ""
        if mnemonic == "jmp":
            target = operands[0]
            if not re.fullmatch(r"[0-9a-f]+", target):
                return path, "ends in a jump through memory"
            listing = iter(disassembled(file, int(target, 16)))
        elif mnemonic in ("(bad)", "hlt", "ud2"):
            return path, "ends nowhere"
    return path, f"more than {limit}"


def straight_line_of_guest(archive, name):
    """The same for a function of the guest's archive, which is not linked: its fast path contains no jump."""
    text = output_of(["objdump", "-d", "--no-show-raw-insn", f"--disassemble={name}", archive])
    path = []
    for match in map(INSTRUCTION.match, text.splitlines()):
        if match and not match[2].startswith(("nop", "data16", "cs nop", "xchg   %ax")):
            path.append(match[2])
            if match[2].startswith("ret"):
                return path, ""
    return path, "ends nowhere"


def callgrind_costs(text):
    """{function called by main: inclusive instructions} from callgrind's output."""
    names = {}

    def name_of(word):
        number, _, name = word.partition(") ")
        return names.setdefault(number, name) if name else names.get(word.removesuffix(")"), word)

    costs, function, called, pending = {}, "", "", False
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "fn":
            function = name_of(value)
        elif key == "cfn":
            called = name_of(value)
        elif key == "calls":
            pending = True
        elif pending:
            pending = False
            if function == "main":
                costs[called] = costs.get(called, 0) + int(line.split()[1])
    return costs


def callgrind(program, allocator, mode, pairs, size):
    """(instructions in malloc, in free), both with all that they call."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "out"
        run = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", program, f"pairs={pairs}",
                              f"mode={mode}", f"size={size}"], env={**os.environ, "LD_PRELOAD": allocator.file},
                             capture_output=True, text=True, timeout=300)
        if run.returncode or not out.exists():
            raise RuntimeError(f"under valgrind: {bench_report.status_text(run.returncode)}")
        costs = callgrind_costs(out.read_text())
    # whichever of its aliases a function goes by: operator new and delete are often malloc and free
    freed = {name for name in costs if "free" in name.lower() or "delete" in name}
    allocated = costs.keys() - freed - {"parameters_read"}
    return sum(costs[name] for name in allocated), sum(costs[name] for name in freed)


def per_pair(program, allocator, mode, size):
    warm = callgrind(program, allocator, mode, WARM, size)
    long = callgrind(program, allocator, mode, LONG, size)
    return [(b - a) / (LONG - WARM) for a, b in zip(warm, long)]


def print_straight_lines(allocators, guest, show):
    print("straight-line instructions to the first return (of which touch memory)")
    print(f"  {'':12}{'malloc':>12}{'free':>12}")
    rows = [(allocator.name, allocator.file, straight_line) for allocator in allocators]
    if guest.exists():
        rows.insert(1, ("weir, guest", guest, straight_line_of_guest))
    for title, file, follow in rows:
        cells, notes = [], []
        for name in ("malloc", "free"):
            path, note = follow(file, name)
            cells.append(f"{len(path)} ({sum(map(touches_memory, path))})")
            notes += [f"{name} {note}"] if note else []
            if show and title.startswith("weir"):
                notes += ["", *(f"      {instruction}" for instruction in [f"{name}:", *path])]
        print(f"  {title[:12]:<12}{cells[0]:>12}{cells[1]:>12}  " + "; ".join(notes[:2] if not show else [])
              + "\n".join(notes if show else []))


def print_executed(program, allocators, size):
    print(f"\ninstructions executed for a pair of {size} bytes (malloc + free), by order of frees in bursts of 64")
    print(f"  {'':12}" + "".join(f"{order:>22}" for order in ORDERS))
    for allocator in allocators:
        line = f"  {allocator.name[:12]:<12}"
        for mode in range(len(ORDERS)):
            bench.say(f"callgrind: {allocator.name}, {ORDERS[mode]}")
            try:
                allocate, release = per_pair(program, allocator, mode, size)
                cell = f"{allocate + release:.1f} ({allocate:.1f} + {release:.1f})"
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                cell = "failed"
                bench.note(f"{allocator.name}: {error}")
            line += f"{cell:>22}"
        bench.say("")
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=bench.ROOT / "build", help="Meson's build directory")
    parser.add_argument("--alloc", action="append", default=[], metavar="[NAME=]FILE", help="one more (repeatable)")
    parser.add_argument("--size", type=int, default=64, help="bytes of an object (default 64)")
    parser.add_argument("--show", action="store_true", help="print weir's instructions")
    options = parser.parse_args()
    build = options.build.resolve()
    programs = bench.Bench(build, None, True, 60)
    named = [word for value in options.alloc for word in value.split()]
    allocators = [allocator for allocator in bench.find_allocators(programs, build, named) if allocator.file]
    for tool in ("nm", "objdump"):
        if not shutil.which(tool):
            bench.fail(f"{tool} is not installed (Debian package binutils)")
    print_straight_lines(allocators, build / "platform/kernel/libweir-malloc.a", options.show)
    if shutil.which("valgrind"):
        print_executed(programs.directory / "pairs", allocators, options.size)
    else:
        bench.note("valgrind is not installed: instructions executed are not counted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
