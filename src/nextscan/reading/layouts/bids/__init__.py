"""Folders of BIDS: their images, what belongs to these, and what tables and sidecars say of people and sessions."""
