"""Endpoints about several runs: what differs, why, their code, plots and pivot tables."""
