"""The commands for image files: `madvae-purify` and `madvae-attack`."""
