#!/usr/bin/env python3
"""Verifies the record of a lucky draw: python3 verify.py draw-XXXXXXXXXX.json

It was written from docs/draw.md alone and uses nothing but the standard
library: a third pair of eyes beside `qunbot draw verify` and the public page.
It prints what it found and exits with 1 if anything differs.
"""
import hashlib
import hmac
import json
import re
import sys

PROTOCOL = "qunbot-draw-1"


def sha256(data):
    return hashlib.sha256(data).digest()


def number(n):
    return n.to_bytes(4, "big")


def text(s):
    data = s.encode("utf-8")
    return number(len(data)) + data


def need(ok, what):
    if not ok:
        sys.exit("FAIL: " + what)


def fields(obj, names):
    need(isinstance(obj, dict) and sorted(obj) == sorted(names.split()), "fields are not " + names)


def unhex(s, length):
    need(re.fullmatch("[0-9a-f]{%d}" % (2 * length), s), "not %d hexadecimal digits: %r" % (2 * length, s))
    return bytes.fromhex(s)


def verify(r):
    fields(r, "protocol id state rules commitment entries count chain public_value seed winners alternates reason")
    need(r["protocol"] == PROTOCOL, "protocol")
    need(re.fullmatch("[0-9A-Za-z]{10}", r["id"]), "id")
    rules = r["rules"]
    fields(rules, "name organiser prizes conditions cost alternates created deadline claim source")
    for p in rules["prizes"]:
        fields(p, "name count value_fen")
        need(p["count"] >= 1, "count of a prize")
    total = sum(p["count"] for p in rules["prizes"])
    need(total >= 1, "prizes")
    need(r["state"] in ("drawn", "cancelled"), "not over: " + r["state"])
    need((r["state"] == "cancelled") == (r["reason"] != ""), "reason")
    if rules["source"] == "无":
        need(r["public_value"] == "", "public value without a source")
    elif r["state"] == "drawn":
        need(r["public_value"] != "", "no public value")

    # 1. The seed.
    commitment, seed = unhex(r["commitment"], 32), unhex(r["seed"], 32)
    need(sha256(seed) == commitment, "seed and commitment")

    # 2. The chain.
    data = text(PROTOCOL + " rules") + text(r["id"]) + text(rules["name"]) + text(rules["organiser"])
    data += number(len(rules["prizes"]))
    for p in rules["prizes"]:
        data += text(p["name"]) + number(p["count"]) + number(p["value_fen"])
    data += number(len(rules["conditions"])) + b"".join(text(c) for c in rules["conditions"])
    data += number(rules["cost"]) + number(rules["alternates"])
    data += text(rules["created"]) + text(rules["deadline"]) + text(rules["claim"]) + text(rules["source"])
    chain = sha256(data + commitment)
    seen = set()
    for n, entry in enumerate(r["entries"], 1):
        fields(entry, "pseudonym code")
        need(entry["pseudonym"] not in seen, "entry %d is there twice" % n)
        seen.add(entry["pseudonym"])
        chain = sha256(chain + number(n) + unhex(entry["pseudonym"], 16))
        need(chain.hex()[:8] == entry["code"], "code of entry %d: %s, not %s" % (n, chain.hex()[:8], entry["code"]))
    need(len(r["entries"]) == r["count"], "count")
    need(chain.hex() == r["chain"], "chain")
    if r["state"] == "cancelled":
        need(r["winners"] == [] and r["alternates"] == [], "winners of a cancelled draw")
        return "cancelled, %d entries" % r["count"]

    # 3. and 4. The ranking.
    message = text(PROTOCOL + " rank") + text(r["id"]) + chain + text(r["public_value"])
    counter = 0

    def below(m):
        nonlocal counter
        while True:
            word = int.from_bytes(hmac.new(seed, message + number(counter), hashlib.sha256).digest()[:4], "big")
            counter += 1
            if word < 2**32 - 2**32 % m:
                return word % m

    numbers = list(range(1, r["count"] + 1))
    places = min(total + rules["alternates"], len(numbers))
    for i in range(places):
        j = i + below(len(numbers) - i)
        numbers[i], numbers[j] = numbers[j], numbers[i]
    prizes = [k for k, p in enumerate(rules["prizes"], 1) for _ in range(p["count"])]
    winners = [{"prize": k, "entry": n} for k, n in zip(prizes, numbers[:places])]
    need(winners == r["winners"], "winners: %s" % winners)
    need(numbers[len(winners):places] == r["alternates"], "alternates: %s" % numbers[len(winners):places])
    return "%d entries, winners %s" % (r["count"], [w["entry"] for w in winners])


if __name__ == "__main__":
    need(len(sys.argv) == 2, "usage: verify.py FILE")
    with open(sys.argv[1], encoding="utf-8") as file:
        print("OK: " + verify(json.load(file)))
