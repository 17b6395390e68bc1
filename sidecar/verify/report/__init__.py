"""Reports on the results: Markdown, and an HTML page with plots."""
