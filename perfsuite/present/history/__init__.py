"""A history as pages, pictures, a badge and a summary in Markdown; each module is imported where it is needed."""
