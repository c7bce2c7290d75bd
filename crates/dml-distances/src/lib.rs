//! Distances and similarities between embeddings, with gradients, on Candle.
