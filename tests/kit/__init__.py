"""What the tests stand on: a spec parser, a scripted upstream, a raw client, a history checker."""
