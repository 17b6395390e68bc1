"""Pictures of the dashboards with real answers: `python -m dashboards.previews` (or `make previews`)."""
