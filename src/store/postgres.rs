//! The store on Postgres 13 and newer.
