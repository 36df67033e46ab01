//! The `qbft` client on the ledger.

use crate::common::evm::Evm;
use crate::common::{Chain, START};
use crate::support::{evidence, open, packets_cross, refused, update, vector, view};
use alloy_primitives::{Address, B256, Bytes, b256};
use crosspoint_ledger::code;
use crosspoint_ledger::events::Event;
use crosspoint_ledger::query::SignersView;
use crosspoint_ledger::tx::action::{Action, ClientSpec, QbftSpec};
use crosspoint_light_proofs::qbft::{Encoding, Header, SealedHeader};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ids::{ClientId, Height};

const MIX_HASH: B256 = b256!("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365");

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = vec![];
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    [out, payload].concat()
}

fn keys(range: std::ops::Range<u8>) -> Vec<SigningKey> {
    range.map(|n| SigningKey::from_bytes([n + 40; 32]).unwrap()).collect()
}

/// A block of the simulated chain as QBFT writes it, of this set and sealed by these.
fn rlp(number: u64, time: u64, root: B256, set: &[SigningKey], signers: &[SigningKey]) -> Bytes {
    let with = |seals: &[[u8; 65]]| -> Bytes {
        let validators = list(&set.iter().map(|key| alloy_rlp::encode(key.address())).collect::<Vec<_>>());
        let seals = list(&seals.iter().map(|seal| alloy_rlp::encode(&seal[..])).collect::<Vec<_>>());
        let extra = list(&[alloy_rlp::encode(&[7u8; 32][..]), validators, vec![0xc0], alloy_rlp::encode(0u8), seals]);
        let mut items: Vec<Vec<u8>> = (0..16).map(|_| alloy_rlp::encode(B256::repeat_byte(9))).collect();
        items[3] = alloy_rlp::encode(root);
        items[7] = alloy_rlp::encode(1u8);
        items[8] = alloy_rlp::encode(number);
        items[11] = alloy_rlp::encode(time);
        items[12] = alloy_rlp::encode(&extra[..]);
        items[13] = alloy_rlp::encode(MIX_HASH);
        list(&items).into()
    };
    let digest = SealedHeader::decode(Encoding::Qbft, &with(&[])).unwrap().digest;
    let seal = |key: &SigningKey| {
        let mut seal = key.sign(&digest.0);
        seal[64] -= 27;
        seal
    };
    with(&signers.iter().map(seal).collect::<Vec<_>>())
}

fn head(evm: &Evm, set: &[SigningKey]) -> Bytes {
    let head = evm.head();
    rlp(head.number, head.time, head.state_root, set, set)
}

fn spec(evm: &Evm, set: &[SigningKey]) -> ClientSpec {
    let attested = evm.spec();
    ClientSpec::Qbft(QbftSpec {
        chain_id: attested.chain_id,
        encoding: Encoding::Qbft,
        gateway: attested.gateway,
        base_slot: attested.base_slot,
        header: head(evm, set),
        trusting_period: 86_400,
    })
}

fn from(trusted: u64, rlp: Bytes) -> Vec<u8> {
    Header { trusted_height: Height(trusted), rlp }.encode()
}

fn linked() -> (Evm, Chain, ClientId) {
    let (evm, mut chain) = (Evm::new(), Chain::new());
    let client = open(&mut chain, spec(&evm, &keys(0..4)));
    assert_eq!(client.as_str(), "qbft-0");
    (evm, chain, client)
}

#[test]
fn packets_cross_to_a_chain_followed_by_its_seals_while_its_validators_change() {
    let (mut evm, mut chain, client) = linked();
    let found = view(&chain, &client);
    assert_eq!((found.client_type.as_str(), found.counterparty_chain.as_str()), ("qbft", "eip155-31337"));
    assert_eq!(found.signers, SignersView::InHeader);
    let mut first = 0;
    let mut trusted = evm.head().number;
    packets_cross(&mut chain, &client, &mut evm, &mut |evm, time| {
        evm.mine(time);
        // One validator goes and one comes with each block.
        first += 1;
        let bytes = from(trusted, head(evm, &keys(first..first + 4)));
        trusted = evm.head().number;
        bytes
    });
    assert_eq!(view(&chain, &client).trusted.height.0, trusted);
    // A chain that the trusted validators do not vouch for is another one.
    evm.mine(chain.now);
    let strangers = from(trusted, head(&evm, &keys(20..24)));
    let why = refused(&mut chain, &client, strangers);
    assert!(why.contains("not enough to skip"), "{why}");
    let set = keys(first..first + 4);
    let now = evm.head();
    let few = rlp(now.number, now.time, now.state_root, &set, &set[..2]);
    let why = refused(&mut chain, &client, from(trusted, few));
    assert!(why.contains("2 of 4 validators sealed"), "{why}");
    let future = rlp(now.number, chain.now + 60, now.state_root, &set, &set);
    let why = refused(&mut chain, &client, from(trusted, future));
    assert!(why.contains("too far ahead"), "{why}");
    let why = refused(&mut chain, &client, from(trusted + 9, head(&evm, &set)));
    assert!(why.contains("trusts no state at height"), "{why}");
}

#[test]
fn two_sealed_blocks_of_one_number_freeze_and_old_evidence_does_not_freeze_again() {
    let (mut evm, mut chain, client) = linked();
    let set = keys(0..4);
    let trusted = evm.head().number;
    evm.mine(chain.now);
    let one = from(trusted, head(&evm, &set));
    let fork = evm.head().clone();
    let fork = from(trusted, rlp(fork.number, fork.time, B256::repeat_byte(5), &set, &set[..3]));
    update(&mut chain, &client, one.clone());
    // The same again changes nothing and tells nobody.
    assert!(update(&mut chain, &client, one.clone()).is_empty());
    let own = evidence(&client, std::slice::from_ref(&one));
    chain.refused("bob", own, code::CLIENT);
    // Given as an update, the other block of its number is evidence.
    let events = update(&mut chain, &client, fork.clone());
    assert!(matches!(&events[..], [Event::ClientFrozen { .. }]), "{events:?}");
    evm.mine(chain.now);
    let why = refused(&mut chain, &client, from(trusted + 1, head(&evm, &set)));
    assert!(why.contains("frozen"), "{why}");
    // Above all that is known to be forged, governance anchors it again: both headers say nothing any more.
    let action = Action::ReanchorClient { client: client.clone(), spec: Box::new(spec(&evm, &set)) };
    chain.decide(action);
    assert_eq!((view(&chain, &client).frozen, view(&chain, &client).generation), (false, 1));
    chain.refused("bob", evidence(&client, &[one, fork]), code::CLIENT);
    let trusted = evm.head().number;
    evm.mine(chain.now + 1);
    update(&mut chain, &client, from(trusted, head(&evm, &set)));
    // Two that contradict each other freeze it, though neither was ever shown to it.
    let pair = [1, 2].map(|byte| from(trusted, rlp(trusted + 9, chain.now + 5, B256::repeat_byte(byte), &set, &set)));
    let events = chain.ok("bob", evidence(&client, &pair));
    assert!(matches!(events[0], Event::ClientFrozen { .. }));
}

#[test]
fn a_client_expires_and_its_anchor_must_be_of_the_same_chain_and_store() {
    let (mut evm, mut chain, client) = linked();
    let trusted = evm.head().number;
    let other = |change: &dyn Fn(&mut QbftSpec)| {
        let ClientSpec::Qbft(mut spec) = spec(&evm, &keys(0..4)) else { panic!() };
        change(&mut spec);
        spec
    };
    for spec in [
        other(&|spec| spec.chain_id = 5),
        other(&|spec| spec.gateway = Address::repeat_byte(4)),
        other(&|spec| spec.base_slot = B256::ZERO),
    ] {
        let spec = Box::new(ClientSpec::Qbft(spec));
        let action = Box::new(Action::ReanchorClient { client: client.clone(), spec });
        let events = chain.ok("mall", crosspoint_ledger::tx::message::Message::Propose { action });
        let Event::ProposalCreated { proposal, .. } = events[0] else { panic!("{events:?}") };
        let approve = crosspoint_ledger::tx::message::Message::Approve { proposal };
        let why = chain.refused("marketing", approve, code::INVALID);
        assert!(why.contains("another chain or store"), "{why}");
    }
    chain.now = START + 86_400;
    evm.mine(chain.now);
    let why = refused(&mut chain, &client, from(trusted, head(&evm, &keys(0..4))));
    assert!(why.contains("expired"), "{why}");
}

#[test]
fn a_recorded_chain_is_followed_block_by_block() {
    let Some(blocks) = vector("qbft/besu/ibft1_headers_devpart.json") else { return };
    let blocks = blocks.as_array().unwrap();
    let rlp = |at: usize| -> Bytes { blocks[at]["header_rlp"].as_str().unwrap().parse().unwrap() };
    let hash = |at: usize| blocks[at]["block_hash"].as_str().unwrap().parse::<B256>().unwrap();
    let mut chain = Chain::new();
    let client = open(
        &mut chain,
        ClientSpec::Qbft(QbftSpec {
            chain_id: 2017,
            encoding: Encoding::Ibft1,
            gateway: Address::repeat_byte(9),
            base_slot: B256::ZERO,
            header: rlp(1),
            trusting_period: 100 * 365 * 86_400,
        }),
    );
    for at in 2..blocks.len() {
        let number = u64::try_from(at).unwrap();
        update(&mut chain, &client, from(number - 1, rlp(at)));
        let found = view(&chain, &client);
        assert_eq!((found.trusted.height.0, found.trusted_hash), (number, hash(at).to_vec()));
    }
    // In one step from the first block, too.
    let why = refused(&mut chain, &client, {
        let mut changed = rlp(60).to_vec();
        changed[100] ^= 1;
        from(1, changed.into())
    });
    assert!(!why.is_empty());
    assert!(update(&mut chain, &client, from(1, rlp(60))).is_empty(), "known already");
}
