"""Mixed factor model: levels and slopes of few latent factors, from any number of visits."""
