//! The rows of a batch file.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::Address;
use crosspoint_protocol::lock::MAX_MEMO_LEN;
use crosspoint_protocol::secret::Hashlock;
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Most bytes of a batch file.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Most rows of a batch file.
pub const MAX_ROWS: usize = 100_000;
const COLUMNS: [&str; 5] = ["receiver", "amount", "denom", "memo", "hashlock"];

/// Why a file is no batch at all.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Too large.
    #[error("{path} is too large: at most {MAX_ROWS} rows and {MAX_FILE} bytes are taken; split it")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The header is wrong.
    #[error(
        "{path}, line 1: {reason}. The header names the columns: receiver,amount and, if wanted, denom,memo,hashlock"
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No rows.
    #[error("{path} has no transfers: only a header")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// One transfer of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its line in the file, from 2.
    pub line: u64,
    /// Who gets it.
    pub receiver: Address,
    /// How much.
    pub amount: Amount,
    /// What.
    pub denom: Denom,
    /// The note.
    pub memo: String,
    /// The invoice's hashlock, if it pays one.
    pub hashlock: Option<Hashlock>,
}

/// A row that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// Its line in the file.
    pub line: u64,
    /// Everything that is wrong with it.
    pub reasons: Vec<String>,
}

/// A batch file, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The rows that can be sent.
    pub good: Vec<Row>,
    /// Those that cannot.
    pub bad: Vec<BadRow>,
    /// SHA-256 of the file's bytes.
    pub digest: [u8; 32],
}

/// How the receiver's chain writes addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressForm {
    /// bech32 with prefix `point`.
    Native,
    /// `0x` and 40 hex digits.
    Evm,
}

impl AddressForm {
    /// An address as its chain writes it. EVM addresses may come with the capitals of EIP-55, which must then be right.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn read(self, text: &str) -> Result<Address, String> {
        let parsed = match self {
            Self::Native => {
                let (prefix, bytes) =
                    bech32::decode(text).map_err(|e| format!("receiver `{}` is no native address: {e}", cut(text)))?;
                if prefix.as_str() != "point" || bytes.len() != 20 {
                    return Err(format!(
                        "receiver `{}` is no native address: those are 20 bytes in bech32 with prefix point",
                        cut(text)
                    ));
                }
                text.to_ascii_lowercase()
            }
            Self::Evm => {
                let no_address =
                    || format!("receiver `{}` is no EVM address: those are 0x and 40 hex digits", cut(text));
                let digits = text.strip_prefix("0x").ok_or_else(no_address)?;
                let address: alloy::primitives::Address = text.parse().map_err(|_| no_address())?;
                let mixed =
                    digits.bytes().any(|b| b.is_ascii_uppercase()) && digits.bytes().any(|b| b.is_ascii_lowercase());
                if mixed && address.to_checksum(None) != text {
                    return Err(format!(
                        "receiver `{}` has a wrong checksum (EIP-55): a digit was mistyped",
                        cut(text)
                    ));
                }
                if address.is_zero() {
                    return Err("receiver is the zero address: the points would be gone".into());
                }
                format!("{address:#x}")
            }
        };
        parsed.parse().map_err(|e| format!("receiver: {e}"))
    }
}

fn cut(text: &str) -> String {
    text.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Reads and checks a whole file. `denom` is that of rows that name none.
///
/// # Errors
/// The file cannot be read, is too large, or has no usable header. Bad rows are no error; they are listed.
pub fn read(path: &Path, denom: Option<&Denom>, form: AddressForm) -> Result<Rows, RowsError> {
    let unreadable = |e: std::io::Error| RowsError::Unreadable { path: path.into(), reason: e.to_string() };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
        return Err(RowsError::TooLarge { path: path.into() });
    }
    parse(&std::fs::read(path).map_err(unreadable)?, path, denom, form)
}

/// As [`read`], of bytes that were read.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], path: &Path, denom: Option<&Denom>, form: AddressForm) -> Result<Rows, RowsError> {
    let digest = crosspoint_protocol::sha256(&[bytes]);
    // Spreadsheets put a byte order mark in front.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text);
    let columns = header(&mut reader).map_err(|reason| RowsError::Header { path: path.into(), reason })?;
    let mut rows = Rows { good: vec![], bad: vec![], digest };
    let mut hashlocks: HashMap<Hashlock, u64> = HashMap::new();
    let mut lines = Lines { text, at: 0, line: 1 };
    for record in reader.records() {
        if rows.good.len().saturating_add(rows.bad.len()) >= MAX_ROWS {
            return Err(RowsError::TooLarge { path: path.into() });
        }
        match record {
            Ok(record) => {
                let line = lines.of(record.position());
                match row(line, &record, &columns, denom, form) {
                    Ok(row) => match row.hashlock.and_then(|lock| hashlocks.insert(lock, row.line)) {
                        Some(first) => {
                            let reason = format!("its hashlock is that of line {first}; a hashlock can be paid once");
                            rows.bad.push(BadRow { line: row.line, reasons: vec![reason] });
                        }
                        None => rows.good.push(row),
                    },
                    Err(reasons) => rows.bad.push(BadRow { line, reasons }),
                }
            }
            Err(e) => {
                let line = lines.of(e.position());
                rows.bad.push(BadRow { line, reasons: vec!["it is not UTF-8 text".into()] });
            }
        }
    }
    if rows.good.is_empty() && rows.bad.is_empty() {
        return Err(RowsError::Empty { path: path.into() });
    }
    Ok(rows)
}

/// Counts lines. The reader's own count is off by one after `\r\n`, and it stops before blank lines, not after.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line that a record begins on. Records must be asked for in their order.
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let start = position.and_then(|p| usize::try_from(p.byte()).ok()).unwrap_or(self.at);
        let blank = |b: &&u8| matches!(**b, b'\r' | b'\n');
        let skipped = self.text.get(start..).unwrap_or_default().iter().take_while(blank).count();
        let start = start.saturating_add(skipped);
        let between = self.text.get(self.at..start).unwrap_or_default();
        let newlines = between.iter().filter(|b| **b == b'\n').count();
        self.line = self.line.saturating_add(u64::try_from(newlines).unwrap_or(u64::MAX));
        self.at = self.at.max(start);
        self.line
    }
}

/// The place of each known column.
fn header(reader: &mut csv::Reader<&[u8]>) -> Result<HashMap<&'static str, usize>, String> {
    let header = reader.headers().map_err(|_| "it is not UTF-8 text".to_owned())?;
    let mut columns = HashMap::new();
    for (i, name) in header.iter().enumerate() {
        let known = COLUMNS.into_iter().find(|column| column.eq_ignore_ascii_case(name));
        let Some(column) = known else { return Err(format!("column `{}` is not known", cut(name))) };
        if columns.insert(column, i).is_some() {
            return Err(format!("column `{column}` is there twice"));
        }
    }
    for needed in ["receiver", "amount"] {
        if !columns.contains_key(needed) {
            return Err(format!("column `{needed}` is missing"));
        }
    }
    Ok(columns)
}

fn row(
    line: u64,
    record: &csv::StringRecord,
    columns: &HashMap<&'static str, usize>,
    denom: Option<&Denom>,
    form: AddressForm,
) -> Result<Row, Vec<String>> {
    let mut reasons = vec![];
    if record.len() != columns.len() {
        reasons.push(format!("it has {} fields, the header has {}", record.len(), columns.len()));
        return Err(reasons);
    }
    let field = |name: &str| columns.get(name).and_then(|i| record.get(*i)).unwrap_or("");
    let mut keep = |reason: String| reasons.push(reason);
    let receiver = form.read(field("receiver")).map_err(&mut keep).ok();
    let amount = match field("amount").parse::<Amount>() {
        Ok(amount) if amount.is_zero() => {
            keep("amount is 0".into());
            None
        }
        Ok(amount) if form == AddressForm::Evm && amount > Amount::MAX_COMPACT => {
            keep("amount is above 2^96 - 1, the most that an EVM chain takes".into());
            None
        }
        Ok(amount) => Some(amount),
        Err(e) => {
            keep(format!("amount {e}"));
            None
        }
    };
    let named = match (field("denom"), denom) {
        ("", Some(denom)) => Some(denom.clone()),
        ("", None) => {
            keep("denom is missing: name it in the row, or for all rows with --denom".into());
            None
        }
        (text, _) => text.parse().map_err(|e| keep(format!("denom: {e}"))).ok(),
    };
    let memo = field("memo").to_owned();
    if memo.len() > MAX_MEMO_LEN || !memo.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        keep(format!("memo is longer than {MAX_MEMO_LEN} bytes or not printable ASCII"));
    }
    let hashlock = match field("hashlock") {
        "" => None,
        text => text.parse::<Hashlock>().map_err(|e| keep(format!("hashlock: {e}"))).ok(),
    };
    match (receiver, amount, named) {
        (Some(receiver), Some(amount), Some(denom)) if reasons.is_empty() => {
            Ok(Row { line, receiver, amount, denom, memo, hashlock })
        }
        _ => Err(reasons),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

    fn rows(text: &str) -> Result<Rows, RowsError> {
        let denom = "sfs".parse().ok();
        parse(text.as_bytes(), Path::new("t.csv"), denom.as_ref(), AddressForm::Evm)
    }

    #[test]
    fn good_rows_are_read_with_their_lines() {
        let text = format!(
            "\u{feff}Receiver, amount ,memo,denom,hashlock\r\n{ALICE},1250,\"order, 4711\",,\n\n0x70997970C51812dc3A010C7d01b50e0d17dc79C8,1,,other,{}\n",
            "ab".repeat(32)
        );
        let rows = rows(&text).unwrap();
        assert_eq!(rows.bad, []);
        assert_eq!(rows.good.len(), 2);
        assert_eq!((rows.good[0].line, rows.good[1].line), (2, 4));
        assert_eq!(rows.good[0].memo, "order, 4711");
        assert_eq!(rows.good[0].denom.to_string(), "sfs");
        assert_eq!(rows.good[1].receiver, rows.good[0].receiver);
        assert_eq!(rows.good[1].denom.to_string(), "other");
    }

    #[test]
    fn every_bad_row_is_listed_with_every_reason() {
        let lock = "cd".repeat(32);
        let text = format!(
            "receiver,amount,denom,hashlock\n0x1,1.5,X,zz\n{ALICE},0,,\n{ALICE},1\n0x70997970c51812dc3A010C7d01b50e0d17dc79C8,1,,\n{ALICE},79228162514264337593543950336,,\n{ALICE},1,,{lock}\n{ALICE},1,,{lock}\n"
        );
        let rows = rows(&text).unwrap();
        let found: Vec<_> = rows.bad.iter().map(|bad| (bad.line, bad.reasons.len())).collect();
        assert_eq!(found, [(2, 4), (3, 1), (4, 1), (5, 1), (6, 1), (8, 1)]);
        assert!(rows.bad[3].reasons[0].contains("checksum"));
        assert!(rows.bad[5].reasons[0].contains("line 7"));
        assert_eq!(rows.good.len(), 1);
    }

    #[test]
    fn a_wrong_header_is_refused() {
        for bad in ["", "amount\n1\n", "receiver,amount,colour\n", "receiver,amount,amount\n"] {
            assert!(matches!(rows(bad), Err(RowsError::Header { .. })), "{bad}");
        }
        assert!(matches!(rows("receiver,amount\n"), Err(RowsError::Empty { .. })));
    }

    #[test]
    fn text_that_is_not_utf8_is_a_bad_row() {
        let bytes = [b"receiver,amount\n".as_slice(), b"\xff\xfe,1\n", ALICE.as_bytes(), b",1\n"].concat();
        let denom = "sfs".parse().ok();
        let rows = parse(&bytes, Path::new("t.csv"), denom.as_ref(), AddressForm::Evm).unwrap();
        assert_eq!((rows.good.len(), rows.bad.len(), rows.bad[0].line), (1, 1, 2));
    }
}
