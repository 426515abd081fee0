"""One folder for each tip, named like its notebook: checks, widget, stage."""
