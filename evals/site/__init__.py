"""The results of an eval for people: static pages, Markdown, and the standings as JSON."""
