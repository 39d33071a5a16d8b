"""The circuit as code, and the board's twin that obeys it."""
