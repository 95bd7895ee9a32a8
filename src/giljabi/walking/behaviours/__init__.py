"""What a walker does beside walking: standing up, squatting, kneeling, sitting, looking, playing, learned policies."""
