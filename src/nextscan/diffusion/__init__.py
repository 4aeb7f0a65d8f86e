"""Mathematics of diffusion for tensors of any rank: paths, parameterisations, objectives, samplers."""
