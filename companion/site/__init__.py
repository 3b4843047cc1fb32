"""The site: static pages made of the executed notebooks, to be read without a kernel and without a network."""
