//! Every test that needs more than one room, in one binary: folders by subject.

mod audit;
mod cli;
mod config;
mod decision;
mod gateway;
mod hostile;
mod management;
mod security;
mod store;
mod support;
mod usage;
