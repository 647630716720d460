//! Base62, `0-9A-Za-z`, most significant digit first.
