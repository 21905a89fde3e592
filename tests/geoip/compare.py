"""Asks the binary about addresses, and MaxMind's own reader about the same: python compare.py BINARY CONFIG DATABASE…

The databases are those that the configuration names, in its order.
"""

import ipaddress
import json
import random
import subprocess
import sys

import maxminddb

binary, config, *paths = sys.argv[1:]
databases = [maxminddb.open_database(path, maxminddb.MODE_MEMORY) for path in paths]
draw = random.Random(7)


def addresses():
    yield from ["8.8.8.8", "1.1.1.1", "88.103.10.10", "2001:4860:4860::8888", "2a01:4f8::1"]
    for _ in range(30):
        yield str(ipaddress.IPv4Address(draw.randrange(0x01000000, 0xE0000000)))
        yield str(ipaddress.IPv6Address(draw.choice([0x2400, 0x2600, 0x2A00, 0x2A02]) << 112 | draw.getrandbits(108)))


def at(record, *path):
    for name in path:
        try:
            record = record[name]
        except (KeyError, IndexError, TypeError):
            return None
    return record or None


def expected(address):
    facts = {}
    for database in databases:
        if database.metadata().ip_version == 4 and ":" in address:
            continue
        record = database.get(address)
        found = {
            "country": at(record, "country", "iso_code") or at(record, "country_code"),
            "region": at(record, "subdivisions", 0, "names", "en") or at(record, "state1"),
            "city": at(record, "city", "names", "en") or (at(record, "city") if isinstance(at(record, "city"), str) else None),
            "latitude": at(record, "location", "latitude") or at(record, "latitude"),
            "longitude": at(record, "location", "longitude") or at(record, "longitude"),
            "timeZone": at(record, "location", "time_zone") or at(record, "timezone"),
        }
        for name, value in found.items():
            facts[name] = facts.get(name) if facts.get(name) is not None else value
    return facts


known = 0
for address in addresses():
    output = subprocess.run([binary, "--config", config, "ip", address, "--json"], check=True, capture_output=True)
    facts = json.loads(output.stdout)
    if facts["kind"] != "public":
        continue
    for name, value in expected(address).items():
        same = abs(facts[name] - value) < 0.0001 if isinstance(value, float) else facts[name] == value
        assert same, f"{address}: {name} is {facts[name]!r}, and should be {value!r}"
    known += facts["country"] is not None
print(f"{known} addresses with a country, all as MaxMind's reader has them")
assert known > 20
