//! A record of every call, that loses nothing and counts nothing twice.

mod answers;
mod faults;
