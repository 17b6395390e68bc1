"""Tests of the browser client in Node.js."""
