"""The conditional variational autoencoder of images that diffusion is compared with."""
