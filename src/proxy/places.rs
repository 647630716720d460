//! How many connections there may be at once, in all and of one source.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// What was full when a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    Total,
    Source,
}

/// The places for connections. Who is counted is bounded by how many there are.
pub struct Places {
    in_all: usize,
    per_source: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    in_all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One connection's place, until dropped.
pub struct Place {
    places: Arc<Places>,
    source: Option<IpAddr>,
}

impl Places {
    pub fn new(in_all: usize, per_source: usize) -> Arc<Self> {
        Arc::new(Self { in_all, per_source, taken: Mutex::default() })
    }

    /// A place for a connection from `peer`; `None` is somebody who speaks for many.
    ///
    /// # Errors
    /// There is none left.
    pub fn take(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Place, Full> {
        let source = peer.map(source_of);
        let mut taken = self.taken.lock();
        if taken.in_all >= self.in_all {
            return Err(Full::Total);
        }
        if let Some(source) = source {
            let of_source = taken.by_source.entry(source).or_default();
            if *of_source >= self.per_source {
                return Err(Full::Source);
            }
            *of_source += 1;
        }
        taken.in_all += 1;
        Ok(Place { places: Arc::clone(self), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.in_all -= 1;
        if let Some(source) = self.source
            && let Some(of_source) = taken.by_source.get_mut(&source)
        {
            *of_source -= 1;
            if *of_source == 0 {
                taken.by_source.remove(&source);
            }
        }
    }
}

/// Who holds one IPv6 address holds the /64 it is in.
fn source_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            Ipv6Addr::from(network).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn a_source_has_its_share_and_no_more() {
        let places = Places::new(10, 2);
        let first = places.take(address("192.0.2.1"));
        let _second = places.take(address("192.0.2.1"));
        assert_eq!(places.take(address("192.0.2.1")).err(), Some(Full::Source));
        assert!(places.take(address("192.0.2.2")).is_ok());
        drop(first);
        assert!(places.take(address("192.0.2.1")).is_ok());
    }

    #[test]
    fn one_network_of_ipv6_is_one_source() {
        let places = Places::new(10, 1);
        let _first = places.take(address("2001:db8::1"));
        assert_eq!(places.take(address("2001:db8::2")).err(), Some(Full::Source));
        assert!(places.take(address("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn who_speaks_for_many_counts_in_all_alone() {
        let places = Places::new(3, 1);
        let held: Vec<_> = (0..3).map(|_| places.take(None)).collect();
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(places.take(None).err(), Some(Full::Total));
    }

    #[test]
    fn nothing_is_remembered_of_who_has_left() {
        let places = Places::new(10, 1);
        drop(places.take(address("192.0.2.1")));
        assert!(places.taken.lock().by_source.is_empty());
        assert_eq!(places.taken.lock().in_all, 0);
    }
}
