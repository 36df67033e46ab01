//! Web3 secret storage, version 3, with scrypt: the file format of Ethereum keys, here for every kind
//! of 32-byte secret. <https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/>
//!
//! `derived = scrypt(passphrase, salt)`; `ciphertext = AES-128-CTR(derived[0..16], iv, secret)`;
//! `mac = keccak256(derived[16..32] ‖ ciphertext)`.
//! A file is hostile until its MAC holds: its cost parameters are bounded before they are obeyed.

use super::{Passphrase, Secret};
use aes::Aes128;
use alloy::primitives::keccak256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use rand::TryRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Most memory a file may make scrypt use, in bytes: `128 · n · r`.
const MAX_MEMORY: u64 = 1 << 30;

/// Why a key file does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum V3Error {
    /// The passphrase is wrong, or the file was changed. The two cannot be told apart.
    #[error("wrong passphrase, or the file was damaged")]
    Mac,
    /// A cipher, derivation or version this program does not know.
    #[error("its {0} is not supported; version 3 with scrypt and aes-128-ctr is")]
    Unsupported(&'static str),
    /// A field of another length or range than the format says.
    #[error("its field {0} is malformed or out of bounds")]
    Field(&'static str),
    /// The system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// How hard a passphrase is to guess from a stolen file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// 128 MiB and some tenths of a second per guess (n = 2^17, r = 8, p = 1, as OWASP advises).
    Standard,
    /// 4 MiB per guess: for demos and tests, whose keys are thrown away.
    Light,
}

impl Cost {
    const fn log_n(self) -> u8 {
        match self {
            Self::Standard => 17,
            Self::Light => 12,
        }
    }
}

/// The encrypted secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KdfParams {
    dklen: u32,
    #[serde(default)]
    n: u64,
    #[serde(default)]
    p: u32,
    #[serde(default)]
    r: u32,
    salt: String,
}

fn random<const N: usize>() -> Result<[u8; N], V3Error> {
    let mut bytes = [0; N];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|_| V3Error::NoRandomness)?;
    Ok(bytes)
}

fn fixed<const N: usize>(text: &str, field: &'static str) -> Result<[u8; N], V3Error> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| V3Error::Field(field))?;
    Ok(bytes)
}

/// The two halves of the derived key: for the cipher, for the MAC.
struct Derived {
    cipher: Zeroizing<[u8; 16]>,
    mac: Zeroizing<[u8; 16]>,
}

fn derive(passphrase: &Passphrase, salt: &[u8], log_n: u8, r: u32, p: u32) -> Result<Derived, V3Error> {
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| V3Error::Field("kdfparams"))?;
    let mut derived = Zeroizing::new([0_u8; 32]);
    scrypt::scrypt(passphrase.as_bytes(), salt, &params, derived.as_mut_slice())
        .map_err(|_| V3Error::Field("kdfparams"))?;
    let (cipher, mac) = derived.split_at(16);
    let half = |bytes: &[u8]| bytes.try_into().map(Zeroizing::new).map_err(|_| V3Error::Field("kdfparams"));
    Ok(Derived { cipher: half(cipher)?, mac: half(mac)? })
}

fn mac(key: &[u8; 16], ciphertext: &[u8; 32]) -> [u8; 32] {
    keccak256([key.as_slice(), ciphertext].concat()).0
}

impl Crypto {
    /// Encrypts a secret.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn seal(secret: &Secret, passphrase: &Passphrase, cost: Cost) -> Result<Self, V3Error> {
        let (salt, iv): ([u8; 32], [u8; 16]) = (random()?, random()?);
        let key = derive(passphrase, &salt, cost.log_n(), 8, 1)?;
        let mut ciphertext: [u8; 32] = **secret;
        Ctr128BE::<Aes128>::new((&*key.cipher).into(), (&iv).into()).apply_keystream(&mut ciphertext);
        let mac = mac(&key.mac, &ciphertext);
        Ok(Self {
            cipher: "aes-128-ctr".into(),
            cipherparams: CipherParams { iv: hex::encode(iv) },
            ciphertext: hex::encode(ciphertext),
            kdf: "scrypt".into(),
            kdfparams: KdfParams { dklen: 32, n: 1 << cost.log_n(), p: 1, r: 8, salt: hex::encode(salt) },
            mac: hex::encode(mac),
        })
    }

    /// Decrypts the secret.
    ///
    /// # Errors
    /// The passphrase is wrong, or the file is not of this format.
    pub fn open(&self, passphrase: &Passphrase) -> Result<Secret, V3Error> {
        if self.cipher != "aes-128-ctr" {
            return Err(V3Error::Unsupported("cipher"));
        }
        if self.kdf != "scrypt" {
            return Err(V3Error::Unsupported("kdf"));
        }
        let KdfParams { dklen, n, p, r, ref salt } = self.kdfparams;
        let memory = n.checked_mul(u64::from(r)).and_then(|m| m.checked_mul(128));
        let bounded = dklen == 32
            && n.is_power_of_two()
            && n > 1
            && (1..=64).contains(&r)
            && (1..=16).contains(&p)
            && memory.is_some_and(|m| m <= MAX_MEMORY)
            && salt.len() <= 128;
        if !bounded {
            return Err(V3Error::Field("kdfparams"));
        }
        let salt = hex::decode(salt).map_err(|_| V3Error::Field("kdfparams.salt"))?;
        let iv: [u8; 16] = fixed(&self.cipherparams.iv, "cipherparams.iv")?;
        let ciphertext: [u8; 32] = fixed(&self.ciphertext, "ciphertext")?;
        let expected: [u8; 32] = fixed(&self.mac, "mac")?;
        let log_n = u8::try_from(n.ilog2()).map_err(|_| V3Error::Field("kdfparams.n"))?;
        let key = derive(passphrase, &salt, log_n, r, p)?;
        if !bool::from(mac(&key.mac, &ciphertext).ct_eq(&expected)) {
            return Err(V3Error::Mac);
        }
        let mut secret = Secret::new(ciphertext);
        Ctr128BE::<Aes128>::new((&*key.cipher).into(), (&iv).into()).apply_keystream(secret.as_mut_slice());
        Ok(secret)
    }
}

/// A random UUID (version 4), which the format wants as the file's id.
///
/// # Errors
/// The system gave no random bytes.
pub fn random_id() -> Result<String, V3Error> {
    let mut bytes: [u8; 16] = random()?;
    // RFC 9562: the high bits of octet 6 say version 4, those of octet 8 the variant.
    if let Some(b) = bytes.get_mut(6) {
        *b = (*b & 0x0f) | 0x40;
    }
    if let Some(b) = bytes.get_mut(8) {
        *b = (*b & 0x3f) | 0x80;
    }
    let text = hex::encode(bytes);
    let mut id = String::with_capacity(36);
    for (i, c) in text.chars().enumerate() {
        if matches!(i, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(c);
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_with_its_passphrase_only() {
        let secret = Secret::new([7; 32]);
        let crypto = Crypto::seal(&secret, &Passphrase::new("right".into()), Cost::Light).unwrap();
        assert_eq!(crypto.open(&Passphrase::new("right".into())), Ok(secret));
        assert_eq!(crypto.open(&Passphrase::new("wrong".into())), Err(V3Error::Mac));
        let mut damaged = crypto.clone();
        damaged.ciphertext = hex::encode([0; 32]);
        assert_eq!(damaged.open(&Passphrase::new("right".into())), Err(V3Error::Mac));
    }

    #[test]
    fn a_file_cannot_ask_for_all_memory() {
        let mut crypto = Crypto::seal(&Secret::new([7; 32]), &Passphrase::new("p".into()), Cost::Light).unwrap();
        for (n, r, p) in
            [(1 << 40, 8, 1), (1 << 20, 64, 1), (3, 8, 1), (1, 8, 1), (0, 8, 1), (1024, 0, 1), (1024, 8, 1000)]
        {
            crypto.kdfparams = KdfParams { n, r, p, ..crypto.kdfparams };
            assert_eq!(crypto.open(&Passphrase::new("p".into())), Err(V3Error::Field("kdfparams")), "{n} {r} {p}");
        }
    }

    #[test]
    fn ids_are_version_4_uuids() {
        let id = random_id().unwrap();
        assert_eq!((id.len(), id.get(14..15)), (36, Some("4")));
    }
}
