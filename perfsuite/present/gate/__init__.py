"""A gate's result as text, JSON, Markdown, JUnit XML and a page; each module is imported where it is needed."""
