//! Both stores keep the same promises (`conformance`), and each its own.

#[macro_use]
mod conformance;

mod faults;
mod migrations;
mod postgres;
mod sqlite;
mod tls;
