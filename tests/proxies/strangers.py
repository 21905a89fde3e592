"""A stranger who sends requests that the service refuses as malformed, through a proxy as the README sets one up: of the
customers' sign-ins, which go the same way meanwhile, none fails; nor does the proxy lose an answer to the stranger.

Usage: strangers.py HOST:PORT KEY
"""

import collections
import http.client
import json
import sys
import threading
import urllib.error
import urllib.request

TARGET, KEY = sys.argv[1:]
SIGN_INS = 300

# So often at least, the service has to refuse one of the stranger's requests: a few disturb nobody.
REFUSALS = 30

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
    statuses = []

    def disturb():
        while not is_over.is_set():
            for path, headers in MALFORMED:
                try:
                    statuses.append(ask(path, headers)[0])
                except (OSError, http.client.HTTPException) as error:
                    statuses.append(type(error).__name__)

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
    answers = collections.Counter(statuses)
    # What breaks one of these requests breaks a sign-in another time.
    assert answers.keys().isdisjoint({502, 503}), f"the stranger's own requests break: {dict(answers)}"
    # A 400 may be the proxy's own.
    assert answers[431] >= REFUSALS, f"the service refused next to nothing: {dict(answers)}"
    print(f"{SIGN_INS} sign-ins beside requests that got {dict(answers)}")


main()
