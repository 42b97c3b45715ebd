"""Keybearer lets AI agents act for people without ever holding their keys."""
