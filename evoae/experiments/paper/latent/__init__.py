"""The latent space: a map of all of MNIST, evolved, by Adam, variational and linear."""
