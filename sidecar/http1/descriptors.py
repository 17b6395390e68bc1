"""How many descriptors are left: clients get all but a few, which are for the admin listener and backends."""

import resource

RESERVED = 64
RESERVED_SHARE = 8
"""Where few are allowed, one of so many is reserved."""


def are_scarce(newest: int) -> bool:
    """Tell from the descriptor opened last; the kernel gives the lowest that is free (open(2))."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return newest >= allowed - min(RESERVED, allowed // RESERVED_SHARE)
