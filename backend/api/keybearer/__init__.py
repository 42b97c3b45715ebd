"""Keybearer lets AI agents act for people without ever holding their keys."""

__version__ = "0.1.0"
