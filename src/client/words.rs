//! The printable backup of a private key: 24 words of the English list of BIP 39, which hold its 32 bytes and a
//! checksum. Nothing is derived from the words: they are the key.

use bip39::{Error, Language, Mnemonic};
use zeroize::Zeroizing;

/// Words of a backup.
pub const WORDS: usize = 24;

/// Why a text is no backup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Another number of words.
    #[error("{WORDS} words are needed; there are {0}")]
    Count(usize),
    /// A word that is not in the list.
    #[error("word {0} is not in the list of words: look at how it is written")]
    Unknown(usize),
    /// All words are in the list and yet they are not together right.
    #[error("the words do not fit together: one of them is another one, or their order is")]
    Checksum,
}

/// The words of 32 private bytes, separated by blanks.
pub fn to_words(bytes: &[u8; 32]) -> Zeroizing<String> {
    // 32 bytes are one of the lengths of the list's scheme, so that nothing fails here.
    let words = Mnemonic::from_entropy(bytes).map(|mnemonic| mnemonic.words().collect::<Vec<_>>().join(" "));
    Zeroizing::new(words.unwrap_or_default())
}

/// The words in rows of four with their numbers, for paper.
pub fn for_paper(words: &str) -> Zeroizing<String> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let row = |(row, words): (usize, &[&str])| {
        let numbered = words.iter().enumerate().map(|(at, word)| format!("{:>4}. {word:<9}", 4 * row + at + 1));
        numbered.collect::<String>().trim_end().to_owned()
    };
    Zeroizing::new(words.chunks(4).enumerate().map(row).collect::<Vec<_>>().join("\n"))
}

/// The bytes that the words hold; numbers, dots, line ends and capitals are what people add.
///
/// # Errors
/// [`WordsError`] says which word to look at, where that is known.
pub fn from_words(text: &str) -> Result<Zeroizing<[u8; 32]>, WordsError> {
    let is_number = |word: &&str| word.chars().all(|c| c.is_ascii_digit() || c == '.');
    let words: Vec<String> = text.split_whitespace().filter(|word| !is_number(word)).map(str::to_lowercase).collect();
    if words.len() != WORDS {
        return Err(WordsError::Count(words.len()));
    }
    let text = Zeroizing::new(words.join(" "));
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, &text).map_err(|cause| match cause {
        Error::UnknownWord(index) => WordsError::Unknown(index + 1),
        Error::BadWordCount(count) => WordsError::Count(count),
        Error::BadEntropyBitCount(_) | Error::InvalidChecksum | Error::AmbiguousLanguages(_) => WordsError::Checksum,
    })?;
    let bytes = Zeroizing::new(mnemonic.to_entropy());
    bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| WordsError::Checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_the_bytes_they_were_made_of() {
        for bytes in [[0; 32], [0xff; 32], std::array::from_fn(|at| u8::try_from(at * 7).unwrap())] {
            let words = to_words(&bytes);
            assert_eq!(words.split(' ').count(), WORDS);
            assert_eq!(*from_words(&words).unwrap(), bytes);
            assert_eq!(*from_words(&for_paper(&words)).unwrap(), bytes, "with numbers and line ends");
            assert_eq!(*from_words(&words.to_uppercase()).unwrap(), bytes);
        }
    }

    #[test]
    fn the_words_are_those_of_the_public_list() {
        let words = to_words(&[0; 32]);
        assert!(words.starts_with("abandon abandon") && words.ends_with(" art"), "{}", words.as_str());
    }

    #[test]
    fn a_wrong_word_is_told_by_its_number() {
        let words = to_words(&[0; 32]).replacen("abandon", "abandun", 1);
        assert_eq!(from_words(&words).unwrap_err(), WordsError::Unknown(1));
    }

    #[test]
    fn a_missing_word_and_another_order_are_noticed() {
        let words = to_words(&std::array::from_fn(|at| u8::try_from(at).unwrap()));
        let mut list: Vec<&str> = words.split(' ').collect();
        assert_eq!(from_words(&list[1..].join(" ")).unwrap_err(), WordsError::Count(23));
        list.swap(0, 1);
        assert_eq!(from_words(&list.join(" ")).unwrap_err(), WordsError::Checksum);
    }
}
