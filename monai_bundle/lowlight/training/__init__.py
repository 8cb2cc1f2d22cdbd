"""How the network is trained and evaluated from files: image lists, patches, handlers."""
