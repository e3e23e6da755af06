"""Endpoints about several runs: differences, reasons, code, plots and pivot tables."""
