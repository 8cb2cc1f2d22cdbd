"""One module a factor: each sweeps its factor over real crops and gives back figures.

A module offers ``sweep(data, seed) -> list[Figure]``: ``data`` is the folder that holds ``val`` and ``train``.
"""
