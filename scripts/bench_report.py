"""What scripts/bench.py makes of its samples: medians, ratios, geometric means; table, CSV, JSON and plot."""
import csv
import dataclasses
import json
import math
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import time

OURS = "weir"
PLOT_LEAST, PLOT_MOST = 0.25, 4  # ratios beyond are drawn at the edge


@dataclasses.dataclass
class Sample:
    """One run of one program under one allocator."""
    outcome: str  # "ok", or what went wrong
    seconds: float = 0.0
    cpu: float = 0.0  # processor time of all its threads
    rss: int = 0  # peak resident memory, in bytes
    faults: int = 0  # page faults
    complaint: str = ""  # the last line it printed to stderr


def status_text(code):
    if code < 0:
        return f"crash: {signal.Signals(-code).name}"
    return f"exit {code}"


def sample_of(report, stderr):
    """The sample that a report of bench/malloc/measure describes."""
    lines = stderr.strip().splitlines()
    complaint = lines[-1][:120] if lines else ""
    if not report:
        return Sample("not measured", complaint=complaint)
    fields = json.loads(report)
    if fields["timeout"]:
        outcome = "timeout"
    elif fields["signal"]:
        outcome = status_text(-fields["signal"])
    elif fields["exit"]:
        outcome = {1: "wrong answer", 2: "no memory"}.get(fields["exit"], status_text(fields["exit"]))
    else:
        outcome = "ok"
    return Sample(outcome, fields["seconds"], fields["user"] + fields["system"], fields["rss"], fields["faults"],
                  complaint if outcome != "ok" else "")


def spread(values):
    """Half the distance between the quartiles (of fewer than four values: between the extremes), over the median."""
    middle = statistics.median(values)
    if len(values) < 2 or middle == 0:
        return 0.0
    if len(values) < 4:
        low, high = min(values), max(values)
    else:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / middle


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def read_text(path, default=""):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return default


def machine():
    names = [line.split(":", 1)[1].strip() for line in read_text("/proc/cpuinfo").splitlines()
             if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.machine(),
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "huge_pages": read_text("/sys/kernel/mm/transparent_hugepage/enabled"),
        "load": round(os.getloadavg()[0], 2),
    }


def package_version(file):
    """Name and version of the Debian package that owns the file, or nothing. No file: musl."""
    file = file or "/usr/lib/x86_64-linux-musl/libc.a"
    if not shutil.which("dpkg-query"):
        return ""
    for path in (file, os.path.realpath(file)):
        owner = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True)
        if owner.returncode == 0:
            package = owner.stdout.split(": ")[0]
            show = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", package], capture_output=True,
                                  text=True)
            return show.stdout
    return ""


def summary(samples):
    """Of one program under one allocator: its outcome is ok only if every run was."""
    bad = [sample for sample in samples if sample.outcome != "ok"]
    good = [sample for sample in samples if sample.outcome == "ok"]
    result = {"outcome": bad[0].outcome if bad else "ok" if good else "not run", "failures": len(bad),
              "runs": len(samples), "samples": [dataclasses.asdict(sample) for sample in samples]}
    if good:
        result["wall"] = statistics.median(sample.seconds for sample in good)
        result["wall_spread"] = spread([sample.seconds for sample in good])
        result["wall_least"] = min(sample.seconds for sample in good)
        result["cpu"] = statistics.median(sample.cpu for sample in good)
        result["cpu_spread"] = spread([sample.cpu for sample in good])
        result["rss"] = statistics.median(sample.rss for sample in good)
        result["faults"] = statistics.median(sample.faults for sample in good)
    return result


def results_of(samples, groups, files, quick):
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "quick": quick,
        "machine": machine(),
        "allocators": {name: {"file": file or "linked", "package": package_version(file)}
                       for name, file in files.items()},
        "programs": {name: {"group": groups[name],
                            "results": {allocator: summary(runs) for allocator, runs in by_allocator.items()}}
                     for name, by_allocator in samples.items()},
    }


def write_json(results, path):
    path.write_text(json.dumps(results, indent=1) + "\n")


class Report:
    """Ratios to the baseline and to the best peer. A peer is any allocator but weir."""

    def __init__(self, results, baseline, clock):
        self.results = results
        self.baseline = baseline
        self.clock = clock
        self.allocators = list(results["allocators"])
        self.peers = [name for name in self.allocators if name != OURS]
        self.programs = results["programs"]
        self.groups = list(dict.fromkeys(program["group"] for program in self.programs.values()))

    def value(self, program, allocator, what):
        """The median, or None if a run failed. Times below a tick of the clock count as one."""
        result = self.programs[program]["results"].get(allocator, {})
        if result.get("outcome") != "ok":
            return None
        return max(result[what], 1e-3) if what in ("wall", "cpu") else result[what]

    def ratio(self, program, allocator, what):
        value, base = self.value(program, allocator, what), self.value(program, self.baseline, what)
        return value / base if value is not None and base is not None else None

    def best_peer(self, program, what):
        """(value, name) or None."""
        values = [(self.value(program, name, what), name) for name in self.peers]
        values = [pair for pair in values if pair[0] is not None]
        return min(values) if values else None

    def ratio_to_best(self, program, allocator, what):
        value, best = self.value(program, allocator, what), self.best_peer(program, what)
        return value / best[0] if value is not None and best else None

    def mean(self, ratio, allocator, what, group=None):
        """(geometric mean, whether programs are missing) over a group, or over all."""
        names = [name for name, program in self.programs.items() if group in (None, program["group"])]
        ratios = [ratio(name, allocator, what) for name in names]
        known = [value for value in ratios if value is not None]
        return geometric_mean(known), len(known) < len(names)

    # The table

    def table(self, color):
        machine_line = "{processor}, {processors} processors, Linux {kernel}, {libc}, load {load}".format(
            **self.results["machine"])
        parts = [machine_line, self.time_table(color), self.memory_table(color), self.standing(), self.failures()]
        parts.append("* the mean of fewer programs: the others failed or cannot run")
        return "\n\n".join(part for part in parts if part)

    def time_table(self, color):
        clock = "wall time" if self.clock == "wall" else "processor time"
        return self.section(f"{clock}: seconds of {OURS}; ratios to the best peer and to {self.baseline}", self.clock,
                            lambda value: f"{value:.3f}", color)

    def memory_table(self, color):
        return self.section(f"peak resident memory: MiB of {OURS}; ratios likewise", "rss",
                            lambda value: f"{value / 2**20:.1f}", color)

    def section(self, title, what, shown, color):
        head = f"{'':20}{OURS:>9}{'±':>6}{'/best':>7} {'peer':<10}" + "".join(
            f"{name[:10]:>11}" for name in self.allocators)
        lines = [title, head]
        for group in self.groups:
            lines.append(group)
            for name, program in self.programs.items():
                if program["group"] == group:
                    lines.append(self.row(name, what, shown, color))
            lines.append(self.mean_row("geometric mean", what, group))
        if len(self.groups) > 1:
            lines.append(self.mean_row("all: geometric mean", what, None))
        return "\n".join(lines)

    def row(self, program, what, shown, color):
        ours, best = self.value(program, OURS, what), self.best_peer(program, what)
        result = self.programs[program]["results"].get(OURS, {})
        spread_shown = f"{100 * result[what + '_spread']:.0f} %" if ours and what + "_spread" in result else ""
        line = f"  {program:<18}{shown(ours) if ours else '-':>9}{spread_shown:>6}"
        line += f"{ours / best[0] if ours and best else math.nan:7.2f} {best[1][:10] if best else '-':<10}".replace(
            "nan", "  -")
        known = [value for value in (self.ratio(program, name, what) for name in self.allocators) if value]
        for name in self.allocators:
            ratio = self.ratio(program, name, what)
            if ratio is not None:
                cell = f"{ratio:11.2f}"
                line += f"\x1b[1m{cell}\x1b[0m" if color and ratio == min(known) else cell
            else:
                outcome = self.programs[program]["results"].get(name, {}).get("outcome", "-")
                shown_outcome = "-" if outcome in ("ok", "not run") else outcome.removeprefix("crash: ")[:10]
                line += f"{shown_outcome:>11}"
        return line

    def mean_row(self, title, what, group):
        best, partial = self.mean(self.ratio_to_best, OURS, what, group)
        line = f"  {title:<33}{best:7.2f}{'*' if partial else ' '}{'':<10}"
        for name in self.allocators:
            mean, partial = self.mean(self.ratio, name, what, group)
            line += f"{mean:10.2f}{'*' if partial else ' '}"
        return line.replace("nan", "  -")

    def standing(self):
        """How far each allocator stands from choosing the best peer anew for each program."""
        lines = ["ratio to the best peer on each program: geometric mean, and the worst program",
                 f"{'':12}{'time':>8}{'worst':>8} {'on':<20}{'memory':>8}{'worst':>8} {'on':<20}"]
        for allocator in self.allocators:
            line = f"  {allocator[:10]:<10}"
            for what in (self.clock, "rss"):
                mean, partial = self.mean(self.ratio_to_best, allocator, what)
                ratios = [(self.ratio_to_best(program, allocator, what), program) for program in self.programs]
                worst = max((pair for pair in ratios if pair[0] is not None), default=(math.nan, "-"))
                line += f"{mean:8.2f}{'*' if partial else ' '}{worst[0]:7.2f} {worst[1]:<20}"
            lines.append(line.rstrip())
        return "\n".join(lines)

    def failures(self):
        lines = []
        for name, program in self.programs.items():
            for allocator, result in program["results"].items():
                if result["failures"]:
                    complaint = next(sample["complaint"] for sample in result["samples"] if sample["outcome"] != "ok")
                    lines.append(f"  {name} under {allocator}: {result['outcome']} in {result['failures']} of "
                                 f"{result['runs']} runs" + (f" ({complaint})" if complaint else ""))
        return "\n".join(["failures", *lines]) if lines else ""

    # Files

    def write_csv(self, path):
        with open(path, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["group", "program", "allocator", "outcome", "runs", "wall_s", "wall_spread", "wall_least_s",
                          "cpu_s", "cpu_spread", "peak_rss_bytes", "page_faults", f"wall_to_{self.baseline}",
                          "wall_to_best_peer", f"rss_to_{self.baseline}", "rss_to_best_peer"])
            for name, program in self.programs.items():
                for allocator, result in program["results"].items():
                    fields = [result.get(key, "") for key in ("wall", "wall_spread", "wall_least", "cpu", "cpu_spread",
                                                              "rss", "faults")]
                    ratios = [self.ratio(name, allocator, "wall"), self.ratio_to_best(name, allocator, "wall"),
                              self.ratio(name, allocator, "rss"), self.ratio_to_best(name, allocator, "rss")]
                    out.writerow([program["group"], name, allocator, result["outcome"], result["runs"]]
                                 + [f"{field:.6g}" if isinstance(field, float) else field for field in fields]
                                 + ["" if ratio is None else f"{ratio:.4f}" for ratio in ratios])

    def write_plot(self, path):
        """Time above memory, a point for each allocator on each program and on each group's mean."""
        if not shutil.which("gnuplot"):
            return False
        script = self.plot_script(path)
        run = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"gnuplot: {run.stderr}")
        return True

    def plot_columns(self):
        """(label, ratio function of allocator and quantity) from left to right: programs, then their group's mean."""
        for group in self.groups:
            for name, program in self.programs.items():
                if program["group"] == group:
                    yield name, lambda allocator, what, name=name: self.ratio(name, allocator, what)
            yield f"mean: {group}", lambda allocator, what, group=group: self.mean(self.ratio, allocator, what,
                                                                                   group)[0]

    def plot_script(self, path):
        columns = list(self.plot_columns())
        labels = ", ".join(f'"{label}" {i}' for i, (label, _) in enumerate(columns))
        width = max(1000, 34 * len(columns))
        ticks = ", ".join(f'"" {i}' for i in range(len(columns)))
        blocks, plots = [], {self.clock: [], "rss": []}
        colors = ["#888888", "#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#17becf", "#bcbd22", "#e377c2", "#ff9f40"]
        marks = [7, 5, 9, 11, 13, 4, 6, 8, 10]
        # weir last: on top of the others
        for n, allocator in enumerate([*self.peers, *(name for name in self.allocators if name == OURS)]):
            style = 'pt 7 ps 1.1 lc rgb "#d62728"' if allocator == OURS else \
                f'pt {marks[n % len(marks)]} ps 0.7 lc rgb "{colors[n % len(colors)]}"'
            for what in plots:
                points = [(i, ratio(allocator, what)) for i, (_, ratio) in enumerate(columns)]
                points = [f"{i} {min(max(value, PLOT_LEAST), PLOT_MOST):.4f}" for i, value in points
                          if value and not math.isnan(value)]
                block = f"$d{len(blocks)}"
                blocks.append("\n".join([f"{block} << EOD", *points, "EOD"]))
                plots[what].append(f'{block} using 1:2 with points {style} title "{allocator}"')
        means = "\n".join(f'set arrow from {i}, graph 0 to {i}, graph 1 nohead lw 9 lc rgb "#f0f0f0" back'
                          for i, (label, _) in enumerate(columns) if label.startswith("mean: "))
        return f"""
set terminal svg size {width},760 font "sans-serif,11" background "white"
set output "{path}"
{chr(10).join(blocks)}
set multiplot
set logscale y 2
set yrange [{PLOT_LEAST / 1.1:.3f}:{PLOT_MOST * 1.1}]
set ytics ("≤ {PLOT_LEAST}" {PLOT_LEAST}, 0.32, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.6, 2, 2.5, 3.2, "≥ {PLOT_MOST}" {PLOT_MOST})
set grid y lc rgb "#dddddd"
set xrange [-0.7:{len(columns) - 0.3}]
set lmargin at screen 0.08
set rmargin at screen {1 - 150 / width:.3f}
{means}
set arrow from graph 0, first 1 to graph 1, first 1 nohead lc rgb "#444444"
set key outside right top
set tmargin at screen 0.98
set bmargin at screen 0.60
set ylabel "time, ratio to {self.baseline}"
set xtics ({ticks}) scale 0
plot {', '.join(plots[self.clock])}
set key off
set tmargin at screen 0.57
set bmargin at screen 0.19
set ylabel "peak memory, ratio to {self.baseline}"
set xtics rotate by 40 right ({labels}) scale 0
plot {', '.join(plots['rss'])}
unset multiplot
"""
