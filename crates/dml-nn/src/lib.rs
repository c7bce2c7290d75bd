//! Layers with a right and fast backward pass on the CPU, and optimisers that update in place, on Candle.
