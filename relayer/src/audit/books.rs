//! The invariants themselves: pure, over what both chains said at the cut and where every packet stood there.

use super::{AuditReport, DenomAudit, PairAudit};
use crate::journal::{StandingTotals, Totals};
use crate::route::Route;
use crosspoint_adapters::chain::DenomSupply;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::audit::{Equation, Holdings, Pair, plus, sum};
use crosspoint_protocol::book::HomeBook;
use crosspoint_protocol::denom::{Denom, Received};
use crosspoint_protocol::ids::{ChainId, ClientId, Height};
use std::collections::{BTreeMap, BTreeSet};

/// All that an audit looks at.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) cut: BTreeMap<ChainId, Height>,
    /// What each chain says of each denom at its cut.
    pub(crate) supply: BTreeMap<ChainId, Vec<DenomSupply>>,
    /// The routes whose two chains are both in the cut.
    pub(crate) routes: Vec<Route>,
    /// What was sent through each client up to the cut.
    pub(crate) totals: BTreeMap<(ChainId, ClientId), Totals>,
}

/// Keeps the difference that is farthest from 0, and a line for each that is not 0.
#[derive(Default)]
struct Verdict {
    worst: i128,
    broken: Vec<String>,
}

impl Verdict {
    /// An equation of the protocol, `of` a place.
    fn hold(&mut self, of: &dyn std::fmt::Display, equation: Equation) {
        self.check(&format!("{of}: {}", equation.rule), equation.left, equation.right);
    }

    fn check(&mut self, what: &str, left: i128, right: i128) {
        let off = left.saturating_sub(right);
        if off == 0 {
            return;
        }
        if off.unsigned_abs() > self.worst.unsigned_abs() {
            self.worst = off;
        }
        self.broken.push(format!("{what}: {left} is not {right}"));
    }
}

/// Checks I1 to I6 for every denom of every chain in the cut.
pub(crate) fn audit_books(books: &Books) -> AuditReport {
    let anomalies = books.totals.values().fold(0_u64, |n, totals| n.saturating_add(totals.anomalies));
    let mut backed: BTreeSet<(ChainId, Denom)> = BTreeSet::new();
    let mut denoms = vec![];
    for (chain, supplies) in &books.supply {
        for supply in supplies {
            let mut audit = audit_denom(books, chain, supply, &mut backed);
            let owns = audit.issued.is_some() || !audit.pairs.is_empty() || !audit.broken.is_empty();
            if owns || supply.denom.is_home() {
                audit.broken.truncate(16);
                denoms.push(audit);
            }
        }
    }
    denoms.extend(unbacked(books, &backed));
    AuditReport { cut: books.cut.clone(), denoms, anomalies }
}

fn audit_denom(
    books: &Books,
    chain: &ChainId,
    supply: &DenomSupply,
    backed: &mut BTreeSet<(ChainId, Denom)>,
) -> DenomAudit {
    let mut verdict = Verdict::default();
    let mut pairs = vec![];
    let mut return_holds = 0_i128;
    for route in books.routes.iter().filter(|route| route.source_chain == *chain) {
        let out = standing(books, route, &supply.denom);
        let book = supply.home.get(&route.source_client).copied().unwrap_or_default();
        let Ok(Received::Voucher(voucher)) = supply.denom.received(&route.source_client, &route.dest_client) else {
            continue; // these points came from there; their pair is looked at from their home
        };
        let back = standing(books, &route.reversed(), &voucher);
        let far = books.supply.get(&route.dest_chain).and_then(|all| all.iter().find(|s| s.denom == voucher));
        let untouched = book == HomeBook::default() && out == StandingTotals::default() && far.is_none();
        if untouched && back == StandingTotals::default() {
            continue;
        }
        backed.insert((route.dest_chain.clone(), voucher.clone()));
        return_holds = return_holds.saturating_add(sum([back.held]));
        pairs.push(audit_pair(route, voucher, book, &out, &back, far, &mut verdict));
    }
    for client in supply.home.keys() {
        let routed = books.routes.iter().any(|r| r.source_chain == *chain && r.source_client == *client);
        let book = supply.home.get(client).copied().unwrap_or_default();
        if !routed && book != HomeBook::default() {
            tracing::debug!(%chain, %client, "points are out through a client whose other chain is not audited");
        }
    }
    let all_routed = supply.home.keys().all(|client| pairs.iter().any(|pair: &PairAudit| pair.client == *client));
    if all_routed {
        verdict.check("return holds are not the returns held", sum([supply.return_holds]), return_holds);
    }
    let holdings = holdings(supply);
    let home = holdings.out;
    if let Some(issued) = supply.issued.filter(|_| !supply.denom.base_is_token_address()) {
        verdict.hold(chain, holdings.issue(issued));
        if supply.cap.is_some_and(|cap| issued > cap) {
            let over = sum([issued]).saturating_sub(sum(supply.cap));
            verdict.check("I1 more was issued than the cap allows", over, 0);
        }
    }
    if let Some(escrowed) = supply.escrowed {
        let booked = sum([home.vault, home.locked, supply.return_holds, supply.owed]);
        // More is no harm: anybody may give the escrow points for nothing.
        let what = "the escrow has fewer of the token than its books say";
        verdict.check(what, sum([escrowed]).min(booked), booked);
    }
    let total = |part: fn(&PairAudit) -> Amount| pairs.iter().map(part).fold(Amount::ZERO, plus);
    DenomAudit {
        chain: chain.clone(),
        denom: supply.denom.clone(),
        symbol: supply.symbol.clone(),
        cap: supply.cap,
        issued: supply.issued,
        circulating: supply.circulating,
        owed: supply.owed,
        return_holds: supply.return_holds,
        vault: home.vault,
        locked: home.locked,
        held: total(|pair| pair.held),
        vouchers: total(|pair| pair.vouchers),
        in_flight: total(|pair| pair.in_flight),
        imbalance: verdict.worst,
        broken: verdict.broken,
        pairs,
    }
}

fn standing(books: &Books, route: &Route, denom: &Denom) -> StandingTotals {
    let totals = books.totals.get(&(route.source_chain.clone(), route.source_client.clone()));
    totals.and_then(|totals| totals.denoms.get(denom)).copied().unwrap_or_default()
}

fn audit_pair(
    route: &Route,
    voucher: Denom,
    book: HomeBook,
    out: &StandingTotals,
    back: &StandingTotals,
    far: Option<&DenomSupply>,
    verdict: &mut Verdict,
) -> PairAudit {
    let far_book = far.and_then(|far| far.voucher).unwrap_or_default();
    let pair = format!("{}/{}", route.source_chain, route.source_client);
    if let Some(far) = far {
        verdict.hold(&route.dest_chain, holdings(far).vouchers(&far_book));
    }
    let [backing, others @ ..] = Pair { home: book, away: far_book, out: *out, back: *back }.equations();
    for equation in [backing].into_iter().chain(others) {
        verdict.hold(&pair, equation);
    }
    PairAudit {
        client: route.source_client.clone(),
        other_chain: route.dest_chain.clone(),
        other_client: route.dest_client.clone(),
        voucher,
        vault: book.vault,
        locked: book.locked,
        held: far_book.held,
        vouchers: plus(far_book.circulating, far_book.returning),
        in_flight: plus(out.in_flight(), back.in_flight()),
        imbalance: backing.off(),
    }
}

/// Where a chain says that the points of a denom are.
fn holdings(supply: &DenomSupply) -> Holdings {
    let out = supply.home.values().fold(HomeBook::default(), |sum, book| HomeBook {
        locked: plus(sum.locked, book.locked),
        vault: plus(sum.vault, book.vault),
    });
    let DenomSupply { circulating, owed, return_holds, bound, .. } = *supply;
    Holdings { circulating, owed, return_holds, out, bound }
}

/// Vouchers that no audited home chain accounts for, though it is in the cut: forged, or minted by a lie.
fn unbacked(books: &Books, backed: &BTreeSet<(ChainId, Denom)>) -> Vec<DenomAudit> {
    let mut found = vec![];
    for (chain, supplies) in &books.supply {
        for supply in supplies {
            let (Some(book), Some(through)) = (supply.voucher, supply.denom.came_through()) else { continue };
            let audited = books.routes.iter().any(|r| r.dest_chain == *chain && r.dest_client == *through);
            let outstanding = sum([book.circulating, book.returning, book.held]);
            if !audited || outstanding == 0 || backed.contains(&(chain.clone(), supply.denom.clone())) {
                continue;
            }
            found.push(DenomAudit {
                chain: chain.clone(),
                denom: supply.denom.clone(),
                symbol: supply.symbol.clone(),
                cap: None,
                issued: None,
                circulating: supply.circulating,
                owed: supply.owed,
                return_holds: supply.return_holds,
                vault: Amount::ZERO,
                locked: Amount::ZERO,
                held: book.held,
                vouchers: plus(book.circulating, book.returning),
                in_flight: Amount::ZERO,
                imbalance: outstanding,
                pairs: vec![],
                broken: vec![format!("I3 {outstanding} vouchers have no home that backs them")],
            });
        }
    }
    found
}
