//! How good is this embedding? Exact nearest neighbours and retrieval metrics, on Candle.
