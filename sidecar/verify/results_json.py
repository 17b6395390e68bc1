"""The results as JSON, and their schema."""

import json

from pydantic import TypeAdapter

from sidecar.verify.results import Results

_adapter = TypeAdapter(Results)


def to_json(results: Results) -> str:
    """Return results as the text of ``sse_test_results.json``."""
    return _adapter.dump_json(results, indent=2).decode() + "\n"


def from_json(text: str | bytes) -> Results:
    """Read results; raises pydantic.ValidationError."""
    return _adapter.validate_json(text)


def schema() -> str:
    """Return the JSON schema (draft 2020-12) of the results."""
    said = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_adapter.json_schema()}
    return json.dumps(said, indent=2) + "\n"
