"""What is learned: the dual-path network, its tone curve, its losses and its metrics. Knows tensors, no files.

Importing this package loads nothing; `lowlight.model.tone` works on NumPy arrays without torch installed.
"""
