"""Dictionaries, strings, objects and JSON; prints a checksum. usage: python3 objects.py [rounds]"""
import json
import re
import sys
import zlib


class Node:
    def __init__(self, key, children):
        self.key = key
        self.children = children

    def total(self):
        return self.key + sum(child.total() for child in self.children)


def chances(state=42):
    while True:
        state = (state * 1103515245 + 12345) & 0x7fffffff
        yield state >> 8


def tree(chance, depth):
    return Node(next(chance) % 100, [tree(chance, depth - 1) for _ in range(3)] if depth else [])


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    chance, checksum, kept = chances(), 0, []
    for number in range(rounds):
        kept = (kept + [tree(chance, 7)])[-3:]
        checksum ^= sum(node.total() for node in kept)
        records = [{"id": i, "name": "n" * (next(chance) % 40) + str(i), "tags": [str(next(chance) % 50)] * (i % 5)}
                   for i in range(15000)]
        text = json.dumps(records)
        names = sorted(record["name"] for record in json.loads(text))
        digits = re.findall(r"\d+", " ".join(names))
        groups = {}
        for word in digits:
            groups.setdefault(word[:2], []).append(word)
        checksum ^= zlib.crc32(repr(sorted(groups.items())[number]).encode()) ^ len(text)
    print(checksum)


main()
