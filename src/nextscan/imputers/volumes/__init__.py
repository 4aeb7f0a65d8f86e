"""The public estimators of images: each learns how volumes change and predicts the follow-up image."""
