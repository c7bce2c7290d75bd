//! MNIST from the network, with a progress bar.
