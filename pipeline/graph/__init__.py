"""The graph of a configuration: which stages there are, with which settings and inputs."""
