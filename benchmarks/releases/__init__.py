"""The releases that ``docs/history/ipex-2.6-to-2.8.md`` holds against each other, and how they were measured."""
