"""``python -m sidecar``: the same as the command ``sse-sidecar``."""

from sidecar.cli.main import main

if __name__ == "__main__":
    main(prog_name="sse-sidecar")
