//! From a flow key and a snapshot to operations.
