#!/usr/bin/env python3
"""The command `weir` from outside, as TAP: what it says, what it returns, what it leaves behind.

    weir_test.py WEIR

Machines are played by fake_qemu.py and fake_firecracker.py, put first on the PATH; images are ELF files with nothing but
the PVH note. What needs a real guest is in guest_test.py.
"""
import json
import os
import pty
import signal
import subprocess
import sys
import time

from place import WEIR, Skip, expect, main, test

MAIN = r"print \x1eweir main us=2000 cpus=2 timer=0\n;"
EXIT0 = r"print \x1eweir exit 0\n"


def run(place, *arguments, script=MAIN + EXIT0, **more):
    return place.weir("run", place.image, "--accel=tcg", *arguments, script=script, **more)


# --- words and options -------------------------------------------------------------------------


@test
def help_is_for_people(place):
    for arguments in (["help"], ["--help"]):
        result = place.weir(*arguments)
        expect(result, 0)
        assert b"weir run hello.c" in result.stdout
    for command in ("build", "run", "bench"):
        for arguments in (["help", command], [command, "--help"]):
            result = place.weir(*arguments)
            expect(result, 0)
            assert b"Usage: weir " + command.encode() in result.stdout
            assert b"Examples:" in result.stdout and b"Exit codes:" in result.stdout
    assert place.weir("--version").stdout.startswith(b"weir ")
    expect(place.weir(), 125, "Usage")
    expect(place.weir("dance"), 125, 'no command "dance"')


@test
def bad_options_are_named(place):
    for option, words in (("--memory=64", "--memory=64: not a size"), ("--memory=1K", "from 4M"),
                          ("--cpus=0", "--cpus=0"), ("--cpus=two", "--cpus=two"), ("--machine=pc", "microvm or q35"),
                          ("--vmm=xen", "qemu or firecracker"), ("--accel=fast", "auto, kvm or tcg"),
                          ("--balloon=1G", '"1G" is not SIZE@TIME'), ("--balloon=1G@1,x@2", '"x@2"'), ("--env=X", "NAME=VALUE"),
                          ("--option=report=off", "weir.report=off"), ("--timeout=0", "--timeout=0"),
                          ("--timeout=soon", "--timeout=soon"), ("--malloc=tcmalloc", "weir, musl or jemalloc"),
                          ("--nonsense", "--nonsense")):
        expect(run(place, option), 125, words, out=b"")
    expect(place.weir("run"), 125, "nothing to run")
    expect(place.weir("build", "a.c"), 125, "-o IMAGE")
    expect(place.weir("build", "-o", "x"), 125, "nothing to build")
    expect(run(place, "--vmm=firecracker", "--machine=q35"), 125, "one machine of its own")
    expect(place.weir("run", place.image, "--vmm=firecracker", "--accel=tcg"), 125, "needs KVM")
    expect(place.weir("bench", "--programs=lua,doom"), 125, "lua,doom")
    expect(place.weir("bench", "--mallocs=weir,weir"), 125)


@test
def what_cannot_run_is_said(place):
    expect(place.weir("run", "no.img"), 127, "no.img", "No such file")
    expect(place.weir("run", "/etc/passwd"), 126, "/etc/passwd is neither an image nor a source")
    expect(place.weir("run", sys.executable), 126, "not an image that boots")
    expect(place.weir("run", place.root), 126, "directory")
    expect(run(place, "extra"), 125, "behind --")
    expect(run(place, "--malloc=musl"), 125, "malloc")
    expect(run(place, "--balloon=1G@1"), 125, "1 GiB is more than the guest's memory of 64 MiB")
    expect(run(place, "--json=/no/such/dir/x.json"), 125, "--json")


@test
def a_missing_vmm_is_said(place):
    os.remove(os.path.join(place.bin, "qemu-system-x86_64"))
    environment = place.environment()
    environment["PATH"] = place.bin
    result = subprocess.run([WEIR, "run", place.image, "--accel=tcg"], env=environment, capture_output=True)
    expect(result, 127, "qemu-system-x86_64 is not on the PATH", "install")
    if os.access("/dev/kvm", os.W_OK):
        expect(place.weir("run", place.image, "--firecracker=/no/fire"), 127, "/no/fire does not exist")
        expect(place.weir("run", place.image, "--firecracker=/etc/passwd"), 126, "not an executable")


# --- a guest's life ------------------------------------------------------------------------------


@test
def the_console_is_stdout(place):
    result = run(place, script=MAIN + r"print hello\n;print half \x1eweir phase peak live=3\nline\n;" + EXIT0)
    expect(result, 0, out=b"hello\nhalf line\n")
    assert result.stderr == b"", result.stderr
    assert place.left() == []


@test
def exit_codes_pass(place):
    for code in (1, 7, 124, 255):
        expect(run(place, script=MAIN + r"print \x1eweir exit %d\n" % code), code)
    expect(run(place, script=MAIN + r"print \x1eweir exit 139\n"), 139, "the program ended with SIGSEGV (exit 139)")
    expect(run(place, script=MAIN + r"print \x1eweir exit 134\n;exit 3"), 134, "SIGABRT")


@test
def arguments_and_environment_go_into_the_line(place):
    result = run(place, "--env", "A=b c", "--option=weir.report=off", "--", "x", "b c", "--memory=1", "--", script=MAIN + "append;" + EXIT0)
    expect(result, 0, out=b"weir.tool=1 weir.name=job weir.report=off env.A='b c' -- x 'b c' --memory=1 '--'")
    expect(run(place, "--", "x" * 5000), 125, "at most 4096")


@test
def stdin_is_the_console(place):
    expect(run(place, script=MAIN + "read;read;" + EXIT0, stdin="one\ntwo\n"), 0, out=b"<one><two>")


@test
def much_output_is_whole(place):
    line = "x" * 1000 + r"\n"
    result = run(place, script=MAIN + ("print " + line + ";") * 100 + EXIT0)
    expect(result, 0, out=(b"x" * 1000 + b"\n") * 100)


@test
def stdout_may_be_closed(place):
    script = MAIN + r"print hello\n;print \x1eweir exit 5\n"
    result = subprocess.run([WEIR, "run", place.image, "--accel=tcg"], env=place.environment(script), stderr=subprocess.PIPE,
                            preexec_fn=lambda: [os.close(0), os.close(1)], timeout=60)
    expect(result, 5)


@test
def a_reader_that_goes_ends_the_guest(place):
    script = MAIN + (r"print hello\n;sleep 0.1;" * 20) + "sleep 100"
    process = subprocess.Popen([WEIR, "run", place.image, "--accel=tcg"], env=place.environment(script),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"hello\n"
    process.stdout.close()
    assert process.wait(60) == 128 + signal.SIGPIPE
    process.stderr.close()
    assert place.left() == []


@test
def a_terminal_works(place):
    leader, follower = pty.openpty()
    process = subprocess.Popen([WEIR, "run", place.image, "--accel=tcg"], env=place.environment(MAIN + "read;" + EXIT0),
                               stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    os.write(leader, b"typed\n")
    # No controlling terminal: input is not ours to read, and the guest waits.
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    os.close(leader)
    os.close(follower)
    assert place.left() == []


@test
def a_hanging_guest_is_killed(place):
    start = time.time()
    expect(run(place, "--timeout=0.5", script=MAIN + "sleep 1000"), 124, "did not end within 0.5 s")
    assert time.time() - start < 60
    assert place.left() == []


@test
def a_guest_that_just_ends_is_said(place):
    expect(run(place, script=MAIN + "say fake: the last word;exit 3"), 125, "qemu: fake: the last word",
           "qemu ended (exit 3) before the guest said its exit code")
    expect(run(place, script=MAIN + "reset;exit 0"), 125, "a triple fault")
    expect(run(place, script="reset;exit 0"), 125, "before it reached main", "--memory")
    expect(run(place, script="say boom;exit 1"), 125, "boom", "qemu ended (exit 1) before the guest reached main")
    expect(run(place, FAKE_MUTE="1", script="say boom;exit 1"), 125, "boom", "before the guest reached main")
    expect(run(place, script="say internal error;event STOP;sleep 100"), 125, "internal error", "stopped the guest")


@test
def a_vmm_that_lingers_is_ended(place):
    expect(run(place, script=MAIN + r"spawn;print \x1eweir exit 4\n;sleep 1000"), 4)
    assert place.left() == []


def children_of(pid):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = open("/proc/%s/stat" % entry).read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry))
    return found


def lives(pid):
    try:
        return open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@test
def signals_end_everything(place):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = subprocess.Popen([WEIR, "run", place.image, "--accel=tcg"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=place.environment(MAIN + r"spawn;print up\n;sleep 1000"), start_new_session=True)
        assert process.stdout.readline() == b"up\n"
        children = children_of(process.pid)
        assert len(children) == 1
        children += children_of(children[0])
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == -number, process.returncode
        deadline = time.time() + 20
        while any(lives(child) for child in children) and time.time() < deadline:
            time.sleep(0.01)
        assert not any(lives(child) for child in children), children
        assert place.left() == []


@test
def kvm_is_tried_first(place):
    result = place.weir("run", place.image, script=MAIN + EXIT0, FAKE_REFUSES="kvm")
    expect(result, 0, "emulating with TCG")
    assert result.stderr.count(b"\n") == 1
    if os.access("/dev/kvm", os.W_OK):
        assert b"fake: refuses kvm" in result.stderr
        expect(place.weir("run", place.image, "--accel=kvm", script=MAIN + EXIT0, FAKE_REFUSES="kvm"), 125, "refuses kvm")
        result = place.weir("run", place.image, script=MAIN + r"print started\n;exit 1")
        expect(result, 125, out=b"started\n")  # it had come to life: no second try


@test
def json_tells_what_happened(place):
    path = os.path.join(place.root, "out.json")
    script = (MAIN + r"print \x1eweir phase peak live=1000 note=x\n;balloon;sleep 0.2;balloon;"
              r"print \x1eweir memory peak=4096\n;print \x1eweir exit 3\n")
    result = run(place, "--json", path, "--balloon=16M@0.1,max@0.4", "--cpus=3", script=script)
    expect(result, 3, out=b"balloon 16\nballoon 63\n")
    report = json.load(open(path))
    assert list(report) == ["machine", "image", "boot_ms", "exit", "seconds", "rss_mib", "samples", "phases", "peak_bytes"]
    assert report["machine"] == {"cpus": 3, "accel": "tcg", "why": "asked for", "vmm": "qemu", "version": "9.8.7"}
    assert report["image"] == {"bytes": os.path.getsize(place.image), "malloc": "unknown"}
    assert report["exit"] == 3 and report["peak_bytes"] == 4096
    assert abs(report["boot_ms"]["main"] - report["boot_ms"]["entry"] - 2) < 0.01
    assert 0 < report["rss_mib"]["start"] <= report["rss_mib"]["peak"]
    assert report["phases"][0]["name"] == "peak" and report["phases"][0]["live"] == 1000
    assert {sample["balloon_mib"] for sample in report["samples"]} >= {0, 16}
    assert all(set(sample) == {"t", "rss_mib", "balloon_mib"} for sample in report["samples"])


@test
def balloon_steps_that_come_too_late_are_said(place):
    expect(run(place, "--balloon=16M@50"), 0, "ended before step 1 of --balloon")


# --- Firecracker ---------------------------------------------------------------------------------


def firecracker(place, *arguments, **more):
    return place.weir("run", place.image, "--vmm=firecracker", *arguments, **more)


@test
def firecracker_is_configured_and_watched(place):
    if not os.access("/dev/kvm", os.W_OK):
        raise Skip("no KVM here")
    path = os.path.join(place.root, "out.json")
    result = firecracker(place, "--json", path, "--memory=128M", "--balloon=32M@0", "--", "a b", FAKE_INFLATES="1",
                         http_proxy="http://127.0.0.1:9")
    expect(result, 9)
    requests = {(method, path): body for method, path, body in json.loads(result.stdout)}
    assert requests["PUT", "/machine-config"] == {"vcpu_count": 2, "mem_size_mib": 128}
    assert requests["PUT", "/boot-source"] == {"kernel_image_path": place.image,
                                               "boot_args": "weir.tool=1 weir.name=job -- 'a b'"}
    assert requests["PUT", "/balloon"]["free_page_reporting"] is True
    assert requests["PUT", "/actions"] == {"action_type": "InstanceStart"}
    assert requests["PATCH", "/balloon"] == {"amount_mib": 32}
    report = json.load(open(path))
    assert report["machine"]["vmm"] == "firecracker" and report["machine"]["version"] == "9.8.7"
    assert max(sample["balloon_mib"] for sample in report["samples"]) == 32
    assert place.left() == []


@test
def firecracker_failures_are_said(place):
    if not os.access("/dev/kvm", os.W_OK):
        raise Skip("no KVM here")
    expect(firecracker(place, FAKE_REFUSES="/boot-source"), 125, "does not start the guest: /boot-source: the fake refuses")
    expect(firecracker(place, FAKE_CRASH="1"), 125, "the fake's last words", "before the guest said its exit code")
    expect(firecracker(place, FAKE_OLD="1"), 9, "no free page reporting")
    expect(firecracker(place, "--", "☃"), 125, "printable ASCII")
    expect(firecracker(place, "--", "x" * 2000), 125, "passes on at most")
    expect(firecracker(place, "--memory=5000K"), 125, "whole MiB")
    expect(firecracker(place, "--cpus=33"), 125, "at most 32 CPUs")
    assert place.left() == []


sys.exit(main())
