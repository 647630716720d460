//! Step 1: refuse what two parsers could read two ways.
