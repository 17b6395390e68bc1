"""Tests of the sidecar; the name of each test is the promise it holds."""
