//! From text to types, each with a message for the person who wrote the text.

mod names;
mod net;
mod units;

pub(super) use names::{
    balance, denial, entry_name, environment, identity, key_source, local_path, method,
    nothing_empty, one_of, path, pattern, permission, realm, request_line,
};
pub(super) use net::{
    host, network, redis_url, server_address, server_name, socket_address, store_url, url_password,
};
pub(super) use units::{duration, duration_or_zero, quota, rate, size};

/// Below this two words have nothing to do with each other.
const ALIKE: f64 = 0.8;

/// Comparing takes the product of the lengths.
const COMPARED: usize = 64;

/// ``did you mean `…`?``, if one of the candidates is like `word`.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    nearest_name(word, candidates).map(|name| format!("did you mean `{name}`?"))
}

/// The candidate that is most like `word`, if one is.
pub(super) fn nearest_name<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let word: String = word.chars().take(COMPARED).flat_map(char::to_lowercase).collect();
    candidates
        .into_iter()
        .map(|candidate| (likeness(&word, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// One slip of a finger makes two words alike, however short they are.
fn likeness(a: &str, b: &str) -> f64 {
    let one_slip = a.len() > 2 && strsim::osa_distance(a, b) <= 1;
    if one_slip { 1.0 } else { strsim::jaro_winkler(a, b) }
}
