"""What a user runs, composed from the library: simulate, reconstruct, train, measure and report."""
