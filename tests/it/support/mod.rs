//! What the stories are told with.

pub mod gateway;
pub mod load;
pub mod postgres;
pub mod redis;
pub mod relay;
pub mod upstream;
