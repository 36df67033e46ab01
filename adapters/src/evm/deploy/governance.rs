//! Who governs the contracts, and how long what they decide is public before it can be done.

use super::super::contracts::{IAccessManager, ICrosspointRegistry};
use super::{DeployError, Deployment, same};
use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use serde::{Deserialize, Serialize};

/// The access manager's role that may do everything: OpenZeppelin's `ADMIN_ROLE`.
const COUNCIL: u64 = 0;
/// The role that may stop and resume a client and set the standing of accounts.
const OPERATOR: u64 = 1;

/// Who governs once the deployment is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GovernancePlan {
    /// Opens clients and denoms, changes limits, re-anchors clients and names operators: a multi-signature wallet.
    pub council: Address,
    /// Seconds between the publication of what the council wants and the first time it can be done; at least 1.
    pub delay: u32,
    /// Pause and resume clients and set the standing of accounts, without delay.
    #[serde(default)]
    pub operators: Vec<Address>,
}

impl GovernancePlan {
    /// Refused before anything is sent.
    pub(super) fn check(&self) -> Result<(), DeployError> {
        if self.delay == 0 || self.council.is_zero() { Err(DeployError::NoDelay) } else { Ok(()) }
    }
}

impl Deployment<'_> {
    /// Gives the roles to whom the plan names, and takes the deployer's. The last step of a deployment: afterwards the
    /// deployer can do nothing more, unless it is the council.
    pub(super) async fn hand_over(
        &self,
        manager: Address,
        registry: Address,
        plan: &GovernancePlan,
    ) -> Result<(), DeployError> {
        let Some(deployer) = self.deployer.map(PrivateKeySigner::address) else {
            return self.is_handed_over(manager, registry, plan).await;
        };
        let (admin, waits) = self.role(manager, COUNCIL, deployer).await?;
        if !admin || waits > 0 {
            return self.is_handed_over(manager, registry, plan).await;
        }
        let selectors = operator_calls();
        let target = IAccessManager::setTargetFunctionRoleCall { target: registry, selectors, roleId: OPERATOR };
        self.send(manager, || "the operators' role".into(), &target).await?;
        for account in &plan.operators {
            self.grant(manager, OPERATOR, *account, 0).await?;
        }
        // For the deployer as council this is the end of what it does at once.
        self.grant(manager, COUNCIL, plan.council, plan.delay).await?;
        if plan.council != deployer {
            let renounce = IAccessManager::renounceRoleCall { roleId: COUNCIL, callerConfirmation: deployer };
            self.send(manager, || "the end of the deployer's role".into(), &renounce).await?;
        }
        self.is_handed_over(manager, registry, plan).await
    }

    async fn grant(&self, manager: Address, role: u64, account: Address, delay: u32) -> Result<(), DeployError> {
        let call = IAccessManager::grantRoleCall { roleId: role, account, executionDelay: delay };
        self.send(manager, || format!("role {role} of {account}"), &call).await
    }

    async fn role(&self, manager: Address, role: u64, account: Address) -> Result<(bool, u32), DeployError> {
        let held = self.read(manager, &IAccessManager::hasRoleCall { roleId: role, account }).await?;
        Ok((held.isMember, held.executionDelay))
    }

    async fn is_handed_over(
        &self,
        manager: Address,
        registry: Address,
        plan: &GovernancePlan,
    ) -> Result<(), DeployError> {
        let held = |(member, delay): (bool, u32)| if member { format!("held, delay {delay} s") } else { "none".into() };
        let council = held(self.role(manager, COUNCIL, plan.council).await?);
        same(&format!("the council's role of {}", plan.council), &council, &held((true, plan.delay)))?;
        if let Some(deployer) = self.deployer.map(PrivateKeySigner::address).filter(|other| *other != plan.council) {
            let left = held(self.role(manager, COUNCIL, deployer).await?);
            same(&format!("the council's role of the deployer {deployer}"), &left, &held((false, 0)))?;
        }
        for account in &plan.operators {
            let operator = held(self.role(manager, OPERATOR, *account).await?);
            same(&format!("the operator's role of {account}"), &operator, &held((true, 0)))?;
        }
        for selector in operator_calls() {
            let call = IAccessManager::getTargetFunctionRoleCall { target: registry, selector };
            same(
                &format!("the role for call {selector} of the registry"),
                &self.read(manager, &call).await?,
                &OPERATOR,
            )?;
        }
        Ok(())
    }
}

fn operator_calls() -> Vec<alloy::primitives::FixedBytes<4>> {
    [
        ICrosspointRegistry::pauseCall::SELECTOR,
        ICrosspointRegistry::unpauseCall::SELECTOR,
        ICrosspointRegistry::setStandingCall::SELECTOR,
    ]
    .map(Into::into)
    .to_vec()
}
