"""Room for a test that holds thousands of connections, in this process and in those that it starts."""

import resource


def allow_open_files(count: int) -> None:
    """Raise the soft limit of open files where it is lower; ValueError if the hard limit is too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
