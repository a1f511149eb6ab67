"""A checkpoint becomes a bundle that is proven equal to it."""
