//! Miners choose which pairs and triplets of a batch are worth learning from, on Candle.
