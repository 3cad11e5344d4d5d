"""What is timed, each in a process of its own (`benchmarks.worker`); the modules named torch_* run
in the peers' environment.
"""
