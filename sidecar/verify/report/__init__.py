"""Reports made of the results, and of nothing else: Markdown, and one HTML page with plots."""
