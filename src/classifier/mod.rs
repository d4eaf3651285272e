//! Tuple-space search, generic over what is found.
