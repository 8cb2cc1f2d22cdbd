"""What keeps running and serves others. `worker`: the child process of a viewer, see docs/worker.md of the bundle."""
