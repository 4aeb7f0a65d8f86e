"""What a study of images measures: regional volumes, scores of voxels, images for the report."""
