"""Train a prior: the loop with its checkpoints and curves, the autoencoder, the diffusion model, fine-tuning."""
