"""Folders of series by the thousand: planned, run, resumed and summed up."""
