"""SADM: diffusion of one image of a sequence given any others (Yoon et al. 2023), as published and made sound."""
