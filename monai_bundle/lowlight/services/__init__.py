"""What keeps running: services that reach images through `lowlight.enhance` and `lowlight.imaging` alone."""
