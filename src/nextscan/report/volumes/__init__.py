"""Pictures of images: examples of a run, planes, the viewer, the page of imputed images."""
