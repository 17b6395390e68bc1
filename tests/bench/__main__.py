"""Run the benchmark: python -m tests.bench --help."""

import sys

from tests.bench.relay import main

if __name__ == "__main__":
    sys.exit(main())
