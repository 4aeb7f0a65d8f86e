"""Diffusion of follow-up images given source and interval (arXiv 2411.05860), ours and Med-DDPM's."""
