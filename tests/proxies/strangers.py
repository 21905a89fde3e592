"""A stranger who sends requests that the service refuses as malformed, through a proxy as the README sets one up: of the
customers' sign-ins, which go the same way meanwhile, none fails.

Usage: strangers.py HOST:PORT KEY
"""

import json
import sys
import threading
import urllib.error
import urllib.request

TARGET, KEY = sys.argv[1:]
SIGN_INS = 300

# nginx lets both through, HAProxy the second one.
MALFORMED = [("/a<b", {}), ("/", {f"x-{number}": "x" for number in range(95)})]


def ask(path, headers, body=None):
    request = urllib.request.Request(f"http://{TARGET}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def main():
    is_over = threading.Event()
    statuses = set()

    def disturb():
        while not is_over.is_set():
            for path, headers in MALFORMED:
                statuses.add(ask(path, headers)[0])

    strangers = [threading.Thread(target=disturb) for _ in range(2)]
    for stranger in strangers:
        stranger.start()
    try:
        for number in range(SIGN_INS):
            body = json.dumps({"email": f"customer{number}@barasek.com"}).encode()
            path = f"/api/v1/customer/magic-auth?apiKey={KEY}"
            status, answer = ask(path, {"Content-Type": "application/json"}, body)
            assert status == 200 and json.loads(answer)["success"], f"sign-in {number}: {status} {answer!r}"
    finally:
        is_over.set()
        for stranger in strangers:
            stranger.join()
    # A 400 may be the proxy's own.
    assert 431 in statuses, f"the service refused nothing: {statuses}"
    print(f"{SIGN_INS} sign-ins beside requests that got {sorted(statuses)}")


main()
