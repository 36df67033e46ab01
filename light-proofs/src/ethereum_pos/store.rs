//! The sync protocol of the specification, as a store that steps from update to update.

use alloy_primitives::B256;

use super::network::Network;
use super::root::is_member;
use super::types::{Bootstrap, LightClientHeader, SyncCommittee, Update};
use super::update::{SyncError, Trust, check_header, validate};

/// `LightClientStore`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The newest header that is final.
    pub finalized_header: LightClientHeader,
    /// The newest header that enough signed, final or not.
    pub optimistic_header: LightClientHeader,
    /// The committee of the finalized header's period.
    pub current_sync_committee: SyncCommittee,
    /// The committee of the period after it, once it was shown.
    pub next_sync_committee: Option<SyncCommittee>,
    best_valid_update: Option<Update>,
    previous_max_active_participants: u64,
    current_max_active_participants: u64,
}

impl Store {
    /// `initialize_light_client_store`: starts from a header that is trusted by its root.
    pub fn new(network: &Network, trusted: B256, bootstrap: &Bootstrap) -> Result<Self, SyncError> {
        check_bootstrap(network, bootstrap)?;
        let found = bootstrap.header.beacon.root();
        if found != trusted {
            return Err(SyncError::TrustedRoot { found, trusted });
        }
        Ok(Self::resume(bootstrap.header.clone(), bootstrap.current_sync_committee.clone(), None))
    }

    /// A store that trusts this header and these committees, which it verified before.
    #[must_use]
    pub fn resume(
        finalized_header: LightClientHeader,
        current_sync_committee: SyncCommittee,
        next_sync_committee: Option<SyncCommittee>,
    ) -> Self {
        Self {
            optimistic_header: finalized_header.clone(),
            finalized_header,
            current_sync_committee,
            next_sync_committee,
            best_valid_update: None,
            previous_max_active_participants: 0,
            current_max_active_participants: 0,
        }
    }

    /// `process_light_client_update`.
    pub fn process(&mut self, network: &Network, update: &Update, now: u64) -> Result<(), SyncError> {
        let trust = self.trust();
        trust.signer(network, update)?;
        let same_period = network.period(update.signature_slot) == network.period(trust.slot);
        let signers = match &self.next_sync_committee {
            Some(next) if !same_period => next,
            _ => &self.current_sync_committee,
        };
        validate(network, &trust, update, signers, now)?;

        if self.best_valid_update.as_ref().is_none_or(|best| is_better(network, update, best)) {
            self.best_valid_update = Some(update.clone());
        }
        let participants = update.sync_aggregate.participants();
        self.current_max_active_participants = self.current_max_active_participants.max(participants);
        let safety = self.previous_max_active_participants.max(self.current_max_active_participants) / 2;
        if participants > safety && update.attested_header.beacon.slot > self.optimistic_header.beacon.slot {
            self.optimistic_header = update.attested_header.clone();
        }
        let period = |slot| network.period(slot);
        let finalizes_next = self.next_sync_committee.is_none()
            && update.has_committee()
            && update.has_finality()
            && period(update.finalized_slot()) == period(update.attested_header.beacon.slot);
        if has_two_thirds(network, update) && (update.finalized_slot() > trust.slot || finalizes_next) {
            self.apply(network, update);
            self.best_valid_update = None;
        }
        Ok(())
    }

    /// `process_light_client_store_force_update`: applies the best update seen when none could be applied for a whole
    /// period. It then takes the attested header for final, which nothing has proven: never for packets.
    pub fn force_update(&mut self, network: &Network, now: u64) {
        let timeout = self.finalized_header.beacon.slot.saturating_add(network.slots_per_period());
        if now <= timeout {
            return;
        }
        if let Some(mut best) = self.best_valid_update.take() {
            if best.finalized_slot() <= self.finalized_header.beacon.slot {
                best.finalized_header = Some(best.attested_header.clone());
            }
            self.apply(network, &best);
        }
    }

    fn trust(&self) -> Trust {
        Trust {
            slot: self.finalized_header.beacon.slot,
            current: self.current_sync_committee.root(),
            next: self.next_sync_committee.as_ref().map(SyncCommittee::root),
        }
    }

    /// `apply_light_client_update`.
    fn apply(&mut self, network: &Network, update: &Update) {
        let known = network.period(self.finalized_header.beacon.slot);
        let finalized = network.period(update.finalized_slot());
        match self.next_sync_committee.take() {
            None if finalized == known => self.next_sync_committee.clone_from(&update.next_sync_committee),
            // Unreachable for a valid update: without the next committee only this period's signatures count.
            None => return,
            Some(next) if finalized == known.saturating_add(1) => {
                self.current_sync_committee = next;
                self.next_sync_committee.clone_from(&update.next_sync_committee);
                self.previous_max_active_participants = self.current_max_active_participants;
                self.current_max_active_participants = 0;
            }
            Some(next) => self.next_sync_committee = Some(next),
        }
        if let Some(header) = &update.finalized_header
            && header.beacon.slot > self.finalized_header.beacon.slot
        {
            self.finalized_header = header.clone();
            if header.beacon.slot > self.optimistic_header.beacon.slot {
                self.optimistic_header = header.clone();
            }
        }
    }
}

/// A bootstrap's own proofs.
pub(super) fn check_bootstrap(network: &Network, bootstrap: &Bootstrap) -> Result<(), SyncError> {
    check_header(network, &bootstrap.header, "trusted")?;
    let committee = &bootstrap.current_sync_committee;
    if committee.pubkeys.len() != network.preset().sync_committee_size {
        return Err(SyncError::CommitteeSize);
    }
    let beacon = &bootstrap.header.beacon;
    let place = network.fork(beacon.slot).ok_or(SyncError::NoFork(beacon.slot))?.current_sync_committee();
    if is_member(committee.root(), &bootstrap.current_sync_committee_branch, place, beacon.state_root) {
        Ok(())
    } else {
        Err(SyncError::CurrentCommittee)
    }
}

/// Whether at least two thirds of the committee signed.
pub(super) fn has_two_thirds(network: &Network, update: &Update) -> bool {
    let size = u64::try_from(network.preset().sync_committee_size).unwrap_or(u64::MAX);
    update.sync_aggregate.participants().saturating_mul(3) >= size.saturating_mul(2)
}

/// `is_better_update`.
fn is_better(network: &Network, new: &Update, old: &Update) -> bool {
    let period = |slot| network.period(slot);
    let participants = |update: &Update| update.sync_aggregate.participants();
    let relevant = |update: &Update| {
        update.has_committee() && period(update.attested_header.beacon.slot) == period(update.signature_slot)
    };
    let finalizes = |update: &Update| period(update.finalized_slot()) == period(update.attested_header.beacon.slot);
    let (new_two_thirds, old_two_thirds) = (has_two_thirds(network, new), has_two_thirds(network, old));
    if new_two_thirds != old_two_thirds {
        return new_two_thirds;
    }
    if !new_two_thirds && participants(new) != participants(old) {
        return participants(new) > participants(old);
    }
    if relevant(new) != relevant(old) {
        return relevant(new);
    }
    if new.has_finality() != old.has_finality() {
        return new.has_finality();
    }
    if new.has_finality() && finalizes(new) != finalizes(old) {
        return finalizes(new);
    }
    if participants(new) != participants(old) {
        return participants(new) > participants(old);
    }
    let slots = |update: &Update| (update.attested_header.beacon.slot, update.signature_slot);
    slots(new) < slots(old)
}
