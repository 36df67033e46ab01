//! Bisection: the cases of tendermint-rs, and ways over our own chain.

use crate::chain::{self, Block, validators};
use crate::support::vectors;
use crosspoint_light_proofs::tendermint::{
    Bisection, BisectionError, ClientState, LightBlock, Step, TendermintError, bisect,
};
use crosspoint_protocol::ids::{Height, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use tendermint::block::Header;
use tendermint::validator::Info;

fn light_block(value: &Value) -> LightBlock {
    let part = |name: &str| value[name].clone();
    LightBlock {
        signed_header: serde_json::from_value(part("signed_header")).unwrap(),
        validators: serde_json::from_value(part("validator_set")).unwrap(),
        next_validators: serde_json::from_value(part("next_validator_set")).unwrap(),
    }
}

fn blocks(value: &Value) -> BTreeMap<u64, LightBlock> {
    let blocks = value["lite_blocks"].as_array().unwrap().iter().map(light_block);
    blocks.map(|block| (block.signed_header.header.height.value(), block)).collect()
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

/// Where the plan leads through a recorded chain: the headers believed. These files hash validator sets as was done before
/// CometBFT 0.34, so no verifier of today takes their headers; what is asked of them is the way: by how much of the
/// trusted set signed, and whether each header that is trusted is still in its trusting period.
fn follow(case: &Value, chain: &BTreeMap<u64, LightBlock>) -> Result<Vec<Header>, TendermintError> {
    let options = &case["trust_options"];
    let now: tendermint::Time = serde_json::from_value(case["now"].clone()).unwrap();
    let now = Timestamp(now.unix_timestamp() as u64);
    let mut trusted = &chain[&number(&options["height"])];
    let mut client =
        ClientState { trusting_period: number(&options["period"]) / 1_000_000_000, ..changing(1).client() };
    let mut plan = Bisection::new(height(trusted), Height(number(&case["height_to_verify"])));
    let mut way = vec![];
    while let Some(at) = plan {
        client.latest.time = Timestamp(trusted.signed_header.header.time.unix_timestamp() as u64);
        client.check_usable(now)?;
        let block = &chain[&at.height().0];
        let signed = |info: &&Info| {
            let signatures = &block.signed_header.commit.signatures;
            signatures.iter().any(|s| s.is_commit() && s.validator_address() == Some(info.address))
        };
        let set = trusted.next_validators.validators();
        let total: u64 = set.iter().map(Info::power).sum();
        let power: u64 = set.iter().filter(signed).map(Info::power).sum();
        plan = if at.height() == at.trusted().next() || power * 3 > total {
            way.push(block.signed_header.header.clone());
            trusted = block;
            at.believed()
        } else {
            Some(at.not_enough_trust().unwrap())
        };
    }
    Ok(way)
}

fn height(block: &LightBlock) -> Height {
    Height(block.signed_header.header.height.value())
}

#[test]
fn the_way_through_the_chains_of_tendermint_rs_and_its_end_are_theirs() {
    let mut expired = 0;
    for (name, case) in vectors("tendermint/tendermint-rs/bisection/single_peer", 3) {
        let way = follow(&case, &blocks(&case["primary"]));
        assert_eq!(way.is_err(), case["expected_output"] == "error", "{name}");
        let way = match way {
            Ok(way) => way,
            Err(TendermintError::Expired { .. }) => {
                expired += 1;
                continue;
            }
            Err(error) => panic!("{name}: {error}"),
        };
        assert_eq!(way.last().unwrap().height.value(), number(&case["height_to_verify"]), "{name}");
        // Where every header's set is another one, every header is needed; elsewhere fewer are.
        let all = case["description"].as_str().unwrap().contains("bisecting at every height");
        assert_eq!(way.len() == 10, all, "{name}: {}", way.len());
    }
    assert_eq!(expired, 1);
    for (name, case) in vectors("tendermint/tendermint-rs/bisection/multi_peer", 2) {
        assert_eq!(case["expected_output"], "error", "{name}");
        // A witness leads to another header of the same height: by going its way too, the conflict shows.
        let end = |chain: &Value| follow(&case, &blocks(chain)).unwrap().last().unwrap().hash();
        for witness in case["witnesses"].as_array().unwrap() {
            assert_ne!(end(&case["primary"]), end(&witness["value"]), "{name}");
        }
    }
}

/// A chain whose set changes by one of four at each height.
fn changing(height: u64) -> Block {
    let first = height as u8;
    let block = Block::new(height, 1_000 + height, &validators(first..first + 4));
    Block { next: validators(first + 1..first + 5), ..block }
}

fn serve(height: Height) -> Result<LightBlock, &'static str> {
    let block = changing(height.0);
    let (validators, next_validators) = (chain::set(&block.validators), chain::set(&block.next));
    Ok(LightBlock { signed_header: block.signed(), validators, next_validators })
}

fn walk(target: u64, most: usize) -> (Result<Vec<Step>, BisectionError<&'static str>>, ClientState) {
    let start = changing(10);
    let next = chain::set(&start.next);
    let way = bisect(&start.client(), (&start.consensus(), &next), Height(target), Timestamp(1_200), most, serve);
    (way, start.client())
}

#[test]
fn a_far_header_is_reached_by_steps_that_each_verify_and_no_other() {
    let (way, mut client) = walk(40, 200);
    let steps = way.unwrap();
    let heights: Vec<u64> = steps.iter().map(|step| step.header.height().0).collect();
    assert_eq!(heights.last(), Some(&40));
    // The set that signs after 10 keeps two of four until 13: more than a third, so no step needs to be shorter.
    assert!(heights.len() < 30 && heights.windows(2).all(|pair| pair[0] < pair[1]), "{heights:?}");
    for step in &steps {
        assert_eq!(step.header.trusted_height, client.latest.height);
        client = step.client.clone();
    }
    assert!(walk(10, 10).0.unwrap().is_empty(), "nothing to do");
    assert!(matches!(walk(40, 5).0, Err(BisectionError::TooLong(5))));
}

#[test]
fn what_stops_a_bisection_is_named_with_its_height() {
    let start = changing(10);
    let next = chain::set(&start.next);
    let (client, state) = (start.client(), start.consensus());
    let run = |serve: &dyn Fn(Height) -> Result<LightBlock, &'static str>| {
        bisect(&client, (&state, &next), Height(20), Timestamp(1_200), 50, serve).unwrap_err()
    };
    let none = run(&|height| if height == Height(12) { Err("gone") } else { serve(height) });
    assert_eq!(none, BisectionError::Source { height: Height(12), source: "gone" });
    let other = run(&|_| serve(Height(19)));
    assert_eq!(other, BisectionError::WrongHeight { asked: Height(20), found: Height(19) });
    let minority = run(&|height| {
        let mut block = serve(height)?;
        block.signed_header = Block { signers: 2, ..changing(height.0) }.signed();
        Ok(block)
    });
    let BisectionError::Refused { error, .. } = minority else { panic!("{minority:?}") };
    assert!(matches!(error, TendermintError::NotEnoughTrust { .. } | TendermintError::QuorumNotReached { .. }));
    // Between two heights next to each other there is none.
    let adjacent = Bisection::new(Height(10), Height(11)).unwrap();
    assert_eq!((adjacent.height(), adjacent.not_enough_trust()), (Height(11), None));
    assert_eq!((adjacent.believed(), Bisection::new(Height(11), Height(11))), (None, None));
    let far = Bisection::new(Height(10), Height(20)).unwrap().not_enough_trust().unwrap();
    assert_eq!((far.height(), far.believed().unwrap().height()), (Height(15), Height(20)));
}
