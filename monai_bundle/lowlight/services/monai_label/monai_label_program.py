"""MONAI Label's command line without its log, which names folders and files. Runs in the server's environment."""

from __future__ import annotations

import logging

from monailabel.main import Main

if __name__ == "__main__":
    Main(loglevel=logging.CRITICAL, actions="start_server").run()
