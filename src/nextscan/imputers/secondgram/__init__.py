"""SECONDGRAM: diffusion over tables with self-conditioning and a gradient policy (Patterns 2025)."""
