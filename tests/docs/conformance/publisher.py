"""``python -m tests.docs.conformance.publisher URL``: publish to a hub every 100 ms."""

import itertools
import sys
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

EVERY_S = 0.1


def main(url: str) -> None:
    """Publish numbered messages; a hub that is not there yet, or any more, is asked again."""
    place = urlsplit(url)
    for number in itertools.count(1):
        connection = HTTPConnection(str(place.hostname), int(place.port or 80), timeout=2)
        try:
            connection.request("POST", place.path, body=f"message {number}")
            connection.getresponse().read()
        except OSError as error:
            sys.stderr.write(f"{error}\n")
        finally:
            connection.close()
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main(sys.argv[1])
