"""Bytes <-> SI, nothing else; depends on giljabi's types and clock only."""
