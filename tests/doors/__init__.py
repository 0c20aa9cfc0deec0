"""One table of applications and requests, taken through every door of the framework."""
