"""What the browser client costs in Node.js: ``python -m tests.bench.browser_client``."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.clients.js.node import missing_tools, node

SCRIPT = Path(__file__).parent / "js" / "parse.mjs"
CPU_S = 2.0
RUN_S = 600.0


class Cost(NamedTuple):
    """Reading one kind of body, by the client and by ``eventsource-parser`` alone; MB per second of CPU."""

    body: str
    client_mb_per_s: float
    client_us_per_event: float
    parser_mb_per_s: float


def measure(cpu_s: float, word: str = "") -> list[Cost]:
    """Measure every body whose name has ``word``; ``cpu_s``: seconds of CPU for each reader and body."""
    command = [node(), str(SCRIPT), str(cpu_s), word]
    said = subprocess.run(command, capture_output=True, check=True, text=True, timeout=RUN_S).stdout
    found = json.loads(said)["found"]
    return [
        Cost(
            body,
            readers["client"]["mb_per_s"],
            readers["client"]["us_per_event"],
            readers["parser"]["mb_per_s"],
        )
        for body, readers in found.items()
    ]


def main() -> None:
    """Print the table."""
    if missing_tools():
        sys.exit(missing_tools())
    row = "{:40} {:>12} {:>12} {:>16}"
    lines = [row.format("", "client MB/s", "us / event", "parser only MB/s")]
    for body, mb, us, parser_mb in measure(CPU_S):
        lines.append(row.format(body, f"{mb:.0f}", f"{us:.1f}", f"{parser_mb:.0f}"))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
