//! The demo's genesis and keys. Every secret here is derived from text that anybody can read: it protects nothing.

use alloy_primitives::hex;
use crosspoint_light_proofs::checkpoint::KeyBinding;
use crosspoint_light_proofs::signature::SigningKey as BridgeKey;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::ChainId;
use crosspoint_protocol::sha256;
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;

use crate::address::AccountId;
use crate::genesis::{Genesis, GenesisDenom, GenesisError, Governance, Member, Params, Validator};
use crate::tx::action::Role;

/// What the demo's validator keys are derived from, as those of every chain of the `solo` engine are from its seed.
pub const SEED: [u8; 32] = *b"crosspoint demo, worth nothing!!";

/// The demo's chain id.
pub const CHAIN_ID: &str = "crosspoint-1";

/// The demo's members: name and role.
pub const MEMBERS: [(&str, Role); 8] = [
    ("mall", Role::Organisation),
    ("marketing", Role::Organisation),
    ("operator", Role::Organisation),
    ("coffee", Role::Merchant),
    ("books", Role::Merchant),
    ("alice", Role::Customer),
    ("bob", Role::Customer),
    ("relayer", Role::Service),
];

/// The key of a demo member.
#[must_use]
pub fn member_key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&sha256(&[b"crosspoint/demo/member/v1", name.as_bytes()]))
}

/// The consensus and bridge keys of a demo validator; `None` for a bridge secret that is no key (chance below 2^-127).
#[must_use]
pub fn validator_keys(index: u32) -> Option<(SigningKey, BridgeKey)> {
    let secret = |purpose: &str| {
        let domain = format!("crosspoint/validator/{purpose}/v1");
        sha256(&[domain.as_bytes(), &SEED, &index.to_be_bytes()])
    };
    let bridge = BridgeKey::from_bytes(secret("bridge")).ok()?;
    Some((SigningKey::from_bytes(&secret("consensus")), bridge))
}

/// The demo's genesis with this many validators of equal power.
pub fn genesis(validators: u32) -> Result<Genesis, GenesisError> {
    genesis_of(CHAIN_ID, validators)
}

/// The same for a chain of another name, for tests of more than one.
pub fn genesis_of(chain_id: &str, validators: u32) -> Result<Genesis, GenesisError> {
    let unusable = |problem: String| GenesisError { problems: vec![problem] };
    let chain_id: ChainId = chain_id.parse().map_err(|error| unusable(format!("{error}")))?;
    let bind = |index: u32| {
        let (consensus, bridge) = validator_keys(index)?;
        let binding = KeyBinding::new(&chain_id, &consensus, &bridge);
        Some(Validator { name: format!("validator-{index}"), power: 10, binding })
    };
    let validators = (0..validators).map(bind).collect::<Option<_>>();
    let validators = validators.ok_or_else(|| unusable("a derived bridge secret is no key".into()))?;
    let members = MEMBERS.map(|(name, role)| {
        let account = AccountId::of_key(&member_key(name).verifying_key());
        Member { name: name.into(), account, role }
    });
    let sfs = GenesisDenom {
        denom: "sfs".parse().map_err(|error| unusable(format!("{error}")))?,
        symbol: "SFS".into(),
        decimals: 0,
        issuer: "mall".into(),
        cap: Amount::new(910_000_000),
        closed: true,
        balances: BTreeMap::from([
            ("mall".into(), Amount::new(600_000_000)),
            ("marketing".into(), Amount::new(310_000_000)),
        ]),
    };
    let genesis = Genesis {
        chain_id,
        time: "2026-01-01T00:00:00Z".into(),
        params: Params { min_hold: 5, ..Params::default() },
        governance: Governance {
            governors: ["mall", "marketing", "operator"].map(String::from).to_vec(),
            quorum: 2,
            delay: 0,
            operators: vec!["operator".into()],
        },
        validators,
        members: members.to_vec(),
        denoms: vec![sfs],
    };
    genesis.validate()?;
    Ok(genesis)
}

/// The genesis file of the demo, with comments.
#[must_use]
pub fn genesis_file(genesis: &Genesis) -> String {
    let list = |names: &[String]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let mut file = format!(
        r#"# The genesis of the demo chain: the state from which every node starts. `crosspoint demo` uses it.
# Its keys are derived from public text and protect nothing; make your own for any other use.

# The chain's id; part of everything that is signed.
chain_id = "{}"
# When the chain starts, RFC 3339.
time = "{}"

# What the chain runs by. All times in seconds.
[params]
# The longest time from lock to timeout.
max_timeout = {}
# The shortest time from timeout to claim deadline. 600 in production; short here, so that a refund can be watched.
min_hold = {}
# How many past heights stay queryable with proof.
history = {}
# How long a proposal may wait for its quorum.
proposal_lifetime = {}

# Who decides: `quorum` of the governors, and `delay` seconds later it takes effect. Operators may pause.
[governance]
governors = [{}]
quorum = {}
delay = {}
operators = [{}]
"#,
        genesis.chain_id,
        genesis.time,
        genesis.params.max_timeout,
        genesis.params.min_hold,
        genesis.params.history,
        genesis.params.proposal_lifetime,
        list(&genesis.governance.governors),
        genesis.governance.quorum,
        genesis.governance.delay,
        list(&genesis.governance.operators),
    );
    file.push_str(
        "\n# Validators. Each consensus key (ed25519) and bridge key (secp256k1) sign that they belong together.\n",
    );
    for validator in &genesis.validators {
        let binding = &validator.binding;
        file.push_str(&format!(
            "[[validators]]\nname = \"{}\"\npower = {}\nconsensus_key = \"{}\"\nbridge_address = \"{}\"\nconsensus_signature = \"{}\"\nbridge_signature = \"{}\"\n\n",
            validator.name,
            validator.power,
            hex::encode_prefixed(binding.consensus_key),
            hex::encode_prefixed(binding.bridge_address),
            hex::encode_prefixed(binding.consensus_signature),
            hex::encode_prefixed(binding.bridge_signature),
        ));
    }
    file.push_str(
        "# Members: nobody else can send or own points. role: organisation, merchant, customer or service.\n",
    );
    for member in &genesis.members {
        let role = format!("{:?}", member.role).to_lowercase();
        file.push_str(&format!(
            "[[members]]\nname = \"{}\"\naccount = \"{}\"\nrole = \"{role}\"\n\n",
            member.name, member.account
        ));
    }
    file.push_str(
        "# Denoms at home here. Amounts are in base units, as text. `closed`: no more, ever (恒量发行, 永不增发).\n",
    );
    for denom in &genesis.denoms {
        file.push_str(&format!(
            "[[denoms]]\ndenom = \"{}\"\nsymbol = \"{}\"\ndecimals = {}\nissuer = \"{}\"\ncap = \"{}\"\nclosed = {}\n\n[denoms.balances]\n",
            denom.denom, denom.symbol, denom.decimals, denom.issuer, denom.cap, denom.closed
        ));
        for (name, amount) in &denom.balances {
            file.push_str(&format!("{name} = \"{amount}\"\n"));
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_config_is_this_genesis() {
        let expected = genesis(4).unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/genesis.demo.toml");
        if std::env::var_os("CROSSPOINT_WRITE_GENESIS").is_some() {
            std::fs::write(path, genesis_file(&expected)).unwrap();
        }
        let file = std::fs::read_to_string(path).unwrap();
        assert_eq!(Genesis::parse(&file).unwrap(), expected);
        assert_eq!(file, genesis_file(&expected), "rewrite it with CROSSPOINT_WRITE_GENESIS=1");
    }

    #[test]
    fn every_problem_of_a_genesis_is_reported_at_once() {
        let mut bad = genesis(2).unwrap();
        bad.time = "yesterday".into();
        bad.governance.quorum = 4;
        bad.governance.operators.push("nobody".into());
        bad.validators[1].binding.bridge_address = bad.validators[0].binding.bridge_address;
        bad.denoms[0].cap = Amount::new(1);
        bad.members[1].name = "Mall".into();
        let problems = bad.validate().unwrap_err().problems.join("\n");
        for part in ["time:", "quorum", "`nobody`", "same bridge_address", "above the cap", "members[1]", "`marketing`"]
        {
            assert!(problems.contains(part), "{part} in {problems}");
        }
    }
}
