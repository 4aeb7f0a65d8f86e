"""Films of beating hearts: folders of 4-D images, and tables that name them."""
