"""Requests whose end can be seen in two places, sent through a proxy: what it lets through is one request for the
service, too.

Each case is one connection. It carries a request and, behind the point where some parser may see its end, another
one. Each request has an id, which the service gives back with its answer and writes into its log. So whoever was
answered can be compared with whoever was counted; what a proxy or the HTTP layer itself refuses has no id and counts
on neither side. After each case somebody else's request goes the same way, over the connections to the service that
the case may have spoiled, and must get its own answer.

Usage: framing.py PROXY HOST:PORT LOG KEY
"""

import json
import re
import socket
import sys
import time

PROXY, TARGET, LOG, KEY = sys.argv[1:]
HOST, PORT = TARGET.split(":")
PATH = f"/api/v1/customer/magic-auth?apiKey={KEY}"
BODY = b'{"email":"outer@barasek.com"}'
LENGTH = len(BODY)
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (LENGTH, BODY)


def hidden(case):
    """The request that nobody may see as one."""
    body = b'{"email":"hidden@barasek.com"}'
    head = f"POST {PATH} HTTP/1.1\r\nHost: shop\r\nX-Request-Id: hidden-{case}\r\nConnection: close\r\n"
    return head.encode() + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def request(headers, body, *, line=f"POST {PATH} HTTP/1.1", host="Host: shop\r\n"):
    head = f"{line}\r\n{host}X-Request-Id: outer-CASE\r\nContent-Type: application/json\r\n{headers}\r\n\r\n"
    return head.encode("latin-1") + body


def sized(more, body=None, **line):
    """A request whose length is right, and other headers before or behind it."""
    return request(f"Content-Length: {LENGTH}\r\n{more}", body or BODY, **line)


def chunked(chunks):
    return request("Transfer-Encoding: chunked", chunks)


PIPELINED = "two requests, one after the other"

CASES = {
    PIPELINED: request(f"Content-Length: {LENGTH}", BODY),
    "a body in chunks, then a request": chunked(CHUNKS),
    # CL.TE and TE.CL: each half believes another header.
    "length and chunks": sized("Transfer-Encoding: chunked", CHUNKS),
    "chunks and length": request("Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"),
    "length over all, and chunks": request("Content-Length: 600\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
    "length, and xchunked": sized("Transfer-Encoding: xchunked"),
    "length, and chunks with a vertical tab": sized("Transfer-Encoding: \x0bchunked"),
    "length, and chunks in a folded line": sized("Transfer-Encoding:\r\n chunked", CHUNKS),
    "length, and chunks with a space before the colon": sized("Transfer-Encoding : chunked"),
    "length, and chunks behind a bare line feed": sized("X: y\nTransfer-Encoding: chunked"),
    "length, and chunks behind a bare carriage return": sized("X: y\rTransfer-Encoding: chunked"),
    "length, and transfer_encoding": sized("Transfer_Encoding: chunked"),
    # Transfer-Encoding alone.
    "xchunked": request("Transfer-Encoding: xchunked", CHUNKS),
    "identity": request("Transfer-Encoding: identity", BODY),
    "chunked, identity": request("Transfer-Encoding: chunked, identity", CHUNKS),
    "identity, chunked": request("Transfer-Encoding: identity, chunked", CHUNKS),
    "gzip, chunked": request("Transfer-Encoding: gzip, chunked", CHUNKS),
    "chunked twice in a line": request("Transfer-Encoding: chunked, chunked", CHUNKS),
    "chunked twice": request("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKS),
    "chunked, then identity in a line of its own": request(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", CHUNKS
    ),
    "chunked in quotes": request('Transfer-Encoding: "chunked"', CHUNKS),
    "cHuNkEd": request("Transfer-Encoding: cHuNkEd", CHUNKS),
    "chunks in HTTP/1.0": request("Transfer-Encoding: chunked", CHUNKS, line=f"POST {PATH} HTTP/1.0"),
    "length and chunks in HTTP/1.0": sized(
        "Connection: keep-alive\r\nTransfer-Encoding: chunked", line=f"POST {PATH} HTTP/1.0"
    ),
    # Lengths.
    "two lengths": sized("Content-Length: 600"),
    "two lengths, the shorter last": request(f"Content-Length: 600\r\nContent-Length: {LENGTH}", BODY),
    "the same length twice": request(f"Content-Length: {LENGTH}\r\nContent-Length: {LENGTH}", BODY),
    "a list of lengths": request(f"Content-Length: {LENGTH}, {LENGTH}", BODY),
    "a length with a plus": request(f"Content-Length: +{LENGTH}", BODY),
    "a length below nothing": request(f"Content-Length: -{LENGTH}", BODY),
    "a length in hexadecimal": request(f"Content-Length: 0x{LENGTH:x}", BODY),
    "a length with a space in it": request("Content-Length: 2 9", BODY),
    "a length with leading zeros": request(f"Content-Length: 000{LENGTH}", BODY),
    "no length in the header": request("Content-Length:", BODY),
    "a length beyond 64 bits": request(f"Content-Length: {2**64 + LENGTH}", BODY),
    "a length of 64 bits": request(f"Content-Length: {2**64 - 1}", BODY),
    "a length with a space before the colon": request(f"Content-Length : {LENGTH}", BODY),
    "a length in a folded line": request(f"Content-Length:\r\n {LENGTH}", BODY),
    "a NUL in a length": request(f"Content-Length: {LENGTH}\x00", BODY),
    "a GET with a body": request(f"Content-Length: {LENGTH}", BODY, line=f"GET /ping/v1?apiKey={KEY} HTTP/1.1"),
    "a GET with chunks": request("Transfer-Encoding: chunked", CHUNKS, line=f"GET /ping/v1?apiKey={KEY} HTTP/1.1"),
    "a body on a path that nobody serves": request(f"Content-Length: {LENGTH}", BODY, line="POST /nowhere HTTP/1.1"),
    "an expectation": request(f"Expect: 100-continue\r\nContent-Length: {LENGTH}", BODY),
    "an unknown expectation": request(f"Expect: x\r\nContent-Length: {LENGTH}", BODY),
    # Chunks.
    "a chunk size that is no number": chunked(b"ZZ\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk size with a sign": chunked(b"+%x\r\n%s\r\n0\r\n\r\n" % (LENGTH, BODY)),
    "a chunk size below nothing": chunked(b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk size with 0x": chunked(b"0x%x\r\n%s\r\n0\r\n\r\n" % (LENGTH, BODY)),
    "a chunk size with a space behind": chunked(b"%x \r\n%s\r\n0\r\n\r\n" % (LENGTH, BODY)),
    "a chunk size with a space before": chunked(b" %x\r\n%s\r\n0\r\n\r\n" % (LENGTH, BODY)),
    "a chunk size of 17 digits": chunked(b"%017x\r\n%s\r\n0\r\n\r\n" % (LENGTH, BODY)),
    "a chunk size beyond 64 bits": chunked(b"1%016x\r\n%s\r\n0\r\n\r\n" % (LENGTH, BODY)),
    "a chunk size of 64 bits": chunked(b"ffffffffffffffff\r\n" + BODY),
    "a chunk extension": chunked(b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (LENGTH, BODY)),
    "a chunk extension with a line feed": chunked(b"%x;a\n%s\r\n0\r\n\r\n" % (LENGTH, BODY)),
    "a chunk size that ends with a line feed": chunked(b"%x\n%s\r\n0\r\n\r\n" % (LENGTH, BODY)),
    "a chunk that is longer than its size": chunked(b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk that ends with a line feed": chunked(b"%x\r\n%s\n0\r\n\r\n" % (LENGTH, BODY)),
    "the last chunk without an end": chunked(b"%x\r\n%s\r\n0\r\n" % (LENGTH, BODY)),
    "trailers": chunked(b"%x\r\n%s\r\n0\r\nContent-Length: 600\r\n\r\n" % (LENGTH, BODY)),
    # Where it goes.
    "an absolute URI of another host": request(
        f"Content-Length: {LENGTH}", BODY, line=f"POST http://other.example{PATH} HTTP/1.1"
    ),
    "two hosts": request(f"Content-Length: {LENGTH}", BODY, host="Host: shop\r\nHost: other.example\r\n"),
    "no host": request(f"Content-Length: {LENGTH}", BODY, host=""),
    "a NUL in a header": request(f"X: \x00\r\nContent-Length: {LENGTH}", BODY),
    "a line feed in the path": request(f"Content-Length: {LENGTH}", BODY, line=f"POST {PATH}\n HTTP/1.1"),
    "a length for the proxy alone": request(f"Connection: close, Content-Length\r\nContent-Length: {LENGTH}", BODY),
    "an upgrade to HTTP/2": sized(
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"
    ),
    "an upgrade to a web socket": sized(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    ),
    "bare line feeds": request(f"Content-Length: {LENGTH}", BODY).replace(b"\r\n", b"\n"),
}


def exchange(data, seconds=1.5):
    """Sends all, and gives all that comes until the other side closes or stays silent."""
    answers = b""
    with socket.create_connection((HOST, int(PORT)), timeout=seconds) as connection:
        try:
            connection.sendall(data)
            while received := connection.recv(65536):
                answers += received
        except OSError:
            pass  # What came before is what there is.
    return answers


def ids(text, case):
    """The ids of this case's requests, each as often as it stands there."""
    return sorted(re.findall(rf"\b(?:outer|hidden|next)-{case}\b", text))


def answered(answers):
    heads = re.findall(rb"(?im)^x-request-id: (\S+)\r$", answers)
    return b"\n".join(heads).decode("latin-1")


def log():
    with open(LOG, encoding="utf-8") as file:
        return "\n".join(re.findall(r"request_id=(\S+)", file.read()))


def run(case, name):
    answers = exchange(CASES[name].replace(b"CASE", case.encode()) + hidden(case))
    ping = f"GET /ping/v1?apiKey={KEY} HTTP/1.1\r\nHost: shop\r\nX-Request-Id: next-{case}\r\nConnection: close\r\n\r\n"
    other = exchange(ping.encode(), 10)
    if other.startswith(b"HTTP/1.1 502 "):
        # The HTTP layer refuses a malformed request behind others on its connection without saying that it closes it then.
        # The proxy keeps it until it sees the end, and may use it again before: it says so, which is nobody's answer.
        other = exchange(ping.encode(), 10)
    assert ids(answered(other), case) == [f"next-{case}"], f"{name}: somebody else got {other!r}"
    for _ in range(100):  # The log is written a moment after the answer.
        if f"next-{case}" in log():
            break
        time.sleep(0.05)
    else:
        raise AssertionError(f"{name}: the log does not tell of the request behind it")
    return answers, ids(answered(answers), case), [found for found in ids(log(), case) if not found.startswith("next")]


def main():
    summary = {}
    for number, name in enumerate(CASES, 1):
        case = f"{PROXY}-{number}"
        answers, were_answered, were_counted = run(case, name)
        statuses = re.findall(rb"HTTP/1\.[01] (\d+) ", answers)
        shown = json.dumps([int(status) for status in statuses])
        print(f"{name:56} answers {shown:12} counted {len(were_counted)}")
        assert len(set(were_counted)) == len(were_counted), f"{name}: counted twice: {were_counted}"
        unseen = [found for found in were_counted if found not in were_answered]
        assert f"hidden-{case}" not in unseen, f"{name}: the hidden request was counted and not answered: {answers!r}"
        assert set(were_answered) <= set(were_counted), f"{name}: {were_answered} were answered, {were_counted} counted"
        summary[name] = len(were_counted)
    assert summary[PIPELINED] == 2, "the second of two plain requests is counted, or this test would find nothing"
    print(f"{PROXY}: {len(CASES)} cases")


main()
