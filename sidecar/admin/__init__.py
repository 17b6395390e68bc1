"""The admin listener's app and page."""
