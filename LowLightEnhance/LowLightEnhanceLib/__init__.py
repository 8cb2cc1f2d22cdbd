"""The parts of the Slicer module LowLightEnhance. Nothing here knows the network: that runs in a process of its own."""
