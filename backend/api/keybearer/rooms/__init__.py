"""Rooms of a LiveKit server, where people and agents talk."""
