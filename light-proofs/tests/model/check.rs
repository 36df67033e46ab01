//! Runs a model and says what was found.

use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::fmt::Debug;
use std::hash::Hash;
use std::io::Write;
use std::time::Instant;

/// Whether the larger bounds are wanted.
pub(crate) fn deep() -> bool {
    std::env::var("CROSSPOINT_MODEL").is_ok_and(|bound| bound == "deep")
}

/// Past the test harness's capture: `make model` prints these lines, `make test` need not.
fn say(line: &str) {
    if deep() {
        let _ = writeln!(std::io::stdout(), "{line}");
    } else {
        println!("{line}");
    }
}

fn explore<M>(name: &str, model: M, threads: usize, until: HasDiscoveries) -> impl Checker<M> + use<M>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let started = Instant::now();
    let checker = model.checker().threads(threads).finish_when(until).spawn_bfs().join();
    let (states, depth, took) = (checker.unique_state_count(), checker.max_depth(), started.elapsed());
    say(&format!("{name}: {states} states, depth {depth}, {:.1} s", took.as_secs_f64()));
    checker
}

/// Every property holds in every reachable state, and all that should be possible is.
pub(crate) fn holds<M>(name: &str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = explore(name, model, 2, HasDiscoveries::All);
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        match property.expectation {
            Expectation::Always => {
                if let Some(path) = found {
                    panic!("{name}: `{}` does not hold after {:#?}", property.name, path.into_vec());
                }
            }
            Expectation::Sometimes => assert!(found.is_some(), "{name}: `{}` is never so", property.name),
            Expectation::Eventually => panic!("`eventually` can miss counterexamples: say it with `always`"),
        }
    }
}

/// The mutant is caught, by this property.
pub(crate) fn caught<M>(mutant: &str, by: &'static str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    // One thread and breadth first: the counterexample is a shortest one.
    let checker = explore(&format!("  mutant, {mutant}"), model, 1, HasDiscoveries::AnyOf([by].into()));
    let path = checker.discovery(by).unwrap_or_else(|| panic!("`{by}` does not catch the mutant: {mutant}"));
    say(&format!("    caught by `{by}` after {:?}", path.into_actions()));
}
