"""The generative adversarial network that SADM is compared with."""
