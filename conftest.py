"""For tests and benchmarks alike."""

# pytester runs the plugin's end-to-end tests; pytest takes this from the root conftest only.
pytest_plugins = ["pytester"]
