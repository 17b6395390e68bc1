"""The editor of a drill: ``editor.py SETTING CONFIG`` writes what a runbook shows into the configuration.

A route's options go to the route of the alert, $ROUTE, a job's to $JOB, whatever name the example has.
"""

import os
import sys
from pathlib import Path
from typing import Any

import yaml


def edited(config: dict[str, Any], setting: dict[str, Any], route: str) -> dict[str, Any]:
    """Return a configuration with a setting written into it."""
    routes = _updated(config, setting, "routes", "name", route)
    jobs = _updated(config, setting, "scrape_configs", "job_name", os.environ.get("JOB", ""))
    return {**config, **setting, **routes, **jobs}


def _updated(
    config: dict[str, Any], setting: dict[str, Any], field: str, key: str, name: str
) -> dict[str, Any]:
    """Return the list ``field`` with the setting's options in the entry of that name, if it has any."""
    entries = [dict(entry) for entry in config.get(field, [])]
    for options in setting.get(field, []):
        next(entry for entry in entries if entry[key] == name).update(options, **{key: name})
    return {field: entries} if entries else {}


def main() -> None:
    """Edit the file as asked."""
    setting, config = Path(sys.argv[1]), Path(sys.argv[2])
    wanted = yaml.safe_load(setting.read_text())
    if wanted:
        made = edited(yaml.safe_load(config.read_text()), wanted, os.environ["ROUTE"])
        config.write_text(yaml.safe_dump(made, sort_keys=False))


if __name__ == "__main__":
    main()
