"""What solvers with a diffusion prior share: the steps of its schedule, noise slice by slice, and what to refuse."""
