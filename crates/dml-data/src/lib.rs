//! Data sets for metric learning: IDX files, MNIST by download, and a procedural digit generator.
