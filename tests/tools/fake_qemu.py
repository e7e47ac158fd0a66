#!/usr/bin/env python3
"""Stands in for qemu-system-x86_64: takes its options, speaks QMP, plays a guest.

What the guest does comes from FAKE_SCRIPT: words between semicolons.
    print TEXT      on the console, with \\n and \\x1e understood
    say TEXT        on stderr
    sleep SECONDS
    append          prints the kernel command line
    read            a line from the console, printed back
    balloon         waits until the balloon's size has changed and prints it in MiB
    event NAME      a QMP event
    reset           the QMP event that a triple fault makes
    spawn           a child that outlives its parent
    exit CODE       the process ends with this code
"""
import json
import os
import socket
import sys
import threading
import time

arguments = sys.argv[1:]
if os.environ.get("FAKE_REFUSES") and os.environ["FAKE_REFUSES"] in arguments:
    sys.exit("fake: refuses " + os.environ["FAKE_REFUSES"])


def option(name):
    return arguments[arguments.index(name) + 1]


channel = [a for a in arguments if a.startswith("socket,id=qmp,fd=")][0]
qmp = socket.socket(fileno=int(channel.split("fd=")[1]))
memory = int(option("-m").rstrip("k")) << 10
keeps = memory
changed = threading.Event()


def send(message):
    qmp.sendall((json.dumps(message) + "\r\n").encode())


def serve():
    global keeps
    for line in qmp.makefile("r"):
        command = json.loads(line)
        answer = {}
        if command["execute"] == "balloon":
            keeps = command["arguments"]["value"]
            changed.set()
        elif command["execute"] == "query-balloon":
            answer = {"actual": keeps}
        send({"return": answer, "id": command.get("id")})


def put(text):
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


if not os.environ.get("FAKE_MUTE"):
    send({"QMP": {"version": {"qemu": {"major": 9, "minor": 8, "micro": 7}}, "capabilities": []}})
    threading.Thread(target=serve, daemon=True).start()

for step in os.environ.get("FAKE_SCRIPT", "").split(";"):
    word, _, rest = step.strip().partition(" ")
    rest = rest.replace("\\n", "\n").replace("\\x1e", "\x1e")
    if word == "print":
        put(rest)
    elif word == "say":
        print(rest, file=sys.stderr, flush=True)
    elif word == "sleep":
        time.sleep(float(rest))
    elif word == "append":
        put(option("-append"))
    elif word == "read":
        put("<" + sys.stdin.readline().rstrip("\n") + ">")
    elif word == "balloon":
        changed.wait(60)
        changed.clear()
        put("balloon %d\n" % ((memory - keeps) >> 20))
    elif word == "event":
        send({"event": rest, "data": {}})
    elif word == "reset":
        send({"event": "SHUTDOWN", "data": {"guest": True, "reason": "guest-reset"}})
    elif word == "spawn":
        if os.fork() == 0:
            time.sleep(1000)
    elif word == "exit":
        os._exit(int(rest))
