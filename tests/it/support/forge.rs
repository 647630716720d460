//! Keys as strangers make them: well formed, since anybody can compute a checksum.

const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `gp_<environment>_<id>_<secret>` with its checksum.
pub fn sealed(body: &str) -> String {
    let mut sum = crc32fast::hash(body.as_bytes()) as usize;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[sum % 62];
        sum /= 62;
    }
    format!("{body}{}", std::str::from_utf8(&digits).expect("digits are ASCII"))
}
