//! A record of every call, that loses nothing and counts nothing twice.

mod answers;
mod books;
mod faults;
mod spool;
mod stops;
