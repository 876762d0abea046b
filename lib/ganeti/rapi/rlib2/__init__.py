"""The resources, by noun. Importing a module of this package makes its resources known."""
