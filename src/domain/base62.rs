//! Base 62 in a fixed width, and random text over the same alphabet.
//!
//! The digits are in ASCII order, so that the encodings of numbers sort as the numbers do.

/// `0-9A-Za-z`: the alphabet of every identifier that leaves the service.
const ALPHABET: [char; 62] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M',
    'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j',
    'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
];

/// `length` characters drawn evenly by a cryptographic generator that the operating system seeds: one for each thread,
/// for seeding one each time costs more than all it draws.
pub(super) fn random(length: usize) -> String {
    nanoid::format(nanoid::rngs::thread_local, &ALPHABET, length)
}

/// `number` in exactly `width` digits, of which 11 hold every number; digits beyond the width are lost.
pub(super) fn encode(mut number: u64, width: usize) -> String {
    let mut digits = ['0'; 11];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    digits[digits.len() - width..].iter().collect()
}

/// The number that `digits` stand for; `None` for another alphabet or beyond 64 bits.
pub(super) fn decode(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |number, byte| {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(u64::from(value))
    })
}

/// Whether `text` is `length` characters of the alphabet and nothing else.
pub(super) fn is_text(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decoding_is_the_inverse_of_encoding(number: u64) {
            prop_assert_eq!(decode(&encode(number, 11)), Some(number));
        }

        #[test]
        fn encodings_sort_as_their_numbers(a: u64, b: u64) {
            prop_assert_eq!(encode(a, 11).cmp(&encode(b, 11)), a.cmp(&b));
        }

        #[test]
        fn decoding_never_panics(text: String) {
            let _ = decode(&text);
        }
    }

    #[test]
    fn random_text_uses_every_character_about_equally_often() {
        let text = random(62 * 1_000);
        assert!(is_text(&text, 62_000));
        for character in ALPHABET {
            let count = text.matches(character).count();
            // A fair draw has a standard deviation of 31; eight of them are never seen by chance.
            assert!((750..=1_250).contains(&count), "{character}: {count}");
        }
    }
}
