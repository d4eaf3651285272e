//! RFC 1071 checksums.
