"""Where sound comes from: registries of packages, Debian recordings, and the folders that the owner gives."""
