"""Modules that map noisy data, level and condition to a prediction; they know no schedule."""

from nextscan.networks.feature_unet import FeatureUNet
from nextscan.networks.residual import LocationScale, Shape

__all__ = ["FeatureUNet", "LocationScale", "Shape"]
