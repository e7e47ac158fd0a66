#!/usr/bin/env python3
"""Stands in for Firecracker: its HTTP API on a Unix socket, and a guest that ends after its balloon was set.

FAKE_REFUSES=/path makes a request to it fail; FAKE_OLD=1 knows no free page reporting.
"""
import http.server
import json
import os
import socketserver
import sys
import threading
import time

path = sys.argv[sys.argv.index("--api-sock") + 1]
log = open(sys.argv[sys.argv.index("--log-path") + 1], "w")
state = {"amount": 0, "requests": []}
started = threading.Event()
inflated = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=None):
        text = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def handle_one(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        state["requests"].append([self.command, self.path, body])
        if os.environ.get("FAKE_REFUSES") == self.path:
            return self.answer(400, {"fault_message": "the fake refuses"})
        if self.path == "/version":
            return self.answer(200, {"firecracker_version": "9.8.7"})
        if self.path == "/balloon/statistics":
            return self.answer(200, {"actual_mib": state["amount"]})
        if self.path == "/balloon" and os.environ.get("FAKE_OLD") and "free_page_reporting" in body:
            return self.answer(400, {"fault_message": "unknown field free_page_reporting"})
        if self.path == "/balloon":
            state["amount"] = body["amount_mib"]
            if self.command == "PATCH":
                inflated.set()
        if self.path == "/actions":
            started.set()
        return self.answer(204)

    do_GET = do_PUT = do_PATCH = handle_one

    def log_message(self, *arguments):
        pass

    def address_string(self):
        return "local"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


threading.Thread(target=Server(path, Handler).serve_forever, daemon=True).start()
started.wait(60)
print("\x1eweir main us=1000 cpus=1 timer=1", flush=True)
if os.environ.get("FAKE_CRASH"):
    time.sleep(0.3)
    log.write("the fake's last words\n")
    log.close()
    os._exit(148)
if os.environ.get("FAKE_INFLATES"):
    inflated.wait(60)
    time.sleep(0.3)
print(json.dumps(state["requests"]), flush=True)
print("\x1eweir exit 9", flush=True)
os._exit(0)
