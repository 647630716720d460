//! The command line as people and scripts use it.

mod commands;
mod demo;
mod remote;
mod scan;
