//! Base62, `0-9A-Za-z`, most significant digit first.

pub const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The last six base62 digits of `value`: all of a CRC-32, since 62⁶ > 2³².
pub fn six_digits(mut value: u64) -> [u8; 6] {
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(value % 62) as usize];
        value /= 62;
    }
    digits
}

/// All of a 256-bit number: 43 digits, since 62⁴³ > 2²⁵⁶.
///
/// `number` is big-endian. It is divided in place, so that no copy of a secret stays behind: what
/// is left in it is zero.
pub fn write_256_bits(number: &mut [u8; 32], digits: &mut [u8; 43]) {
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0u32;
        for byte in number.iter_mut() {
            let dividend = remainder << 8 | u32::from(*byte);
            // The remainder is below 62, so the quotient is below 256.
            *byte = (dividend / 62) as u8;
            remainder = dividend % 62;
        }
        *digit = DIGITS[remainder as usize];
    }
}

pub fn is_base62(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_most_significant_first() {
        assert_eq!(&six_digits(0), b"000000");
        assert_eq!(&six_digits(61), b"00000z");
        assert_eq!(&six_digits(62), b"000010");
        // 4 × 62⁵ + 42 × 62⁴ + 41 × 62³ + 7 × 62² + 34 × 62 + 3
        assert_eq!(&six_digits(u64::from(u32::MAX)), b"4gfFC3");
    }

    #[test]
    fn the_largest_256_bit_number_fits_into_43_digits() {
        let (mut number, mut digits) = ([0xff; 32], [0; 43]);
        write_256_bits(&mut number, &mut digits);
        assert_eq!(number, [0; 32], "nothing of the number is left over");
        assert_ne!(digits[0], b'0');
    }

    #[test]
    fn a_small_number_is_padded_with_zeros() {
        let (mut number, mut digits) = ([0; 32], [0; 43]);
        number[31] = 62 + 10;
        write_256_bits(&mut number, &mut digits);
        assert!(digits[..41].iter().all(|&d| d == b'0'));
        assert_eq!(&digits[41..], b"1A");
    }
}
