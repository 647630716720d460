//! Schema versions: the same numbers for both dialects, each in a transaction, under a lock.
