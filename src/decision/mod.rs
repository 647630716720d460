//! The decision: pure, shared by every door.
//!
//! [`open`] judges what needs no look-up (shape, route, credential); a service finds the key;
//! [`Question::close`] judges the key, the account and the permissions. Neither knows a clock,
//! a store or a framework.

mod admission;
mod cors;
mod credential;
mod denial;
mod grpc;
mod head;
mod outcome;
mod problem;
mod shape;
mod standing;
mod strip;

pub use admission::{
    Admission, Answer, Opening, Question, Verdict, admit_known, key_state, open, waive,
};
pub use cors::{CORS_ANSWER, beside_answer};
pub use credential::Credential;
pub use denial::{Denial, Refusal};
pub use grpc::is_grpc;
pub use outcome::{Failure, Outcome};
pub use problem::ProblemAnswer;
pub use standing::{LimitName, Standing};
pub use strip::{HeaderEdit, Strip};
