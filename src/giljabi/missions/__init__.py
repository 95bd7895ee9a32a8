"""Missions for vehicles in the air: patterns, files, and whether it still gets home. Pure: data in, data out."""
