"""Anchored SECONDGRAM: a closed-form anchor, and a diffusion of what it leaves where held-out people gain."""
