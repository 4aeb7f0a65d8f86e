"""When visits were: columns, dates, names of visits, their order, and what cannot be."""
