"""Configurations: each module holds `get_config() -> Config`."""
