"""Tests of the browser client that run in Node.js, and how Python runs them."""
