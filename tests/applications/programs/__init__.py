"""One module per application, each with an `APPLICATION`."""
