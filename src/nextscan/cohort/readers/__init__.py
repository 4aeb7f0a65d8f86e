"""How each kind of table becomes rows of visits: long, wide UK Biobank, FreeSurfer."""
