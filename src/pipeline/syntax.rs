//! Reads and prints flows as ovs-ofctl does.
