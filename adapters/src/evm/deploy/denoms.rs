//! The denoms open to a client: vouchers of the other chain's points, and tokens of this one.

use super::super::contracts::{ICrosspointRegistry, IGatewayAdmin, IToken};
use super::super::record::{address_text, client_word};
use super::{ClientPlan, DeployError, Deployment, same};
use alloy::primitives::{
    Address,
    aliases::{U96, U120, U256},
    keccak256,
};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::ClientId;
use serde::{Deserialize, Serialize};

/// A denom of the other chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoucherPlan {
    /// As the other chain names it.
    pub denom: Denom,
    /// The token's name for people.
    pub name: String,
    /// The token's symbol.
    pub symbol: String,
    /// How wallets show base units.
    pub decimals: u8,
    /// Vouchers outstanding never exceed this.
    pub cap: Amount,
    /// Limits.
    #[serde(default)]
    pub limits: LimitsPlan,
}

/// A token of this chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPlan {
    /// The ERC-20 contract.
    pub token: Address,
    /// Limits.
    #[serde(default)]
    pub limits: LimitsPlan,
}

/// Limits of one client and denom, in base units; `None`: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsPlan {
    /// The least of a lock.
    pub min_amount: Option<Amount>,
    /// The most of a lock, and of a packet received.
    pub max_amount: Option<Amount>,
    /// The most that one account locks in a UTC day.
    pub member_per_day: Option<Amount>,
    /// The most that is out in locks, and the most in holds.
    pub in_flight: Option<Amount>,
}

impl LimitsPlan {
    fn encode(&self) -> ICrosspointRegistry::Limits {
        let u96 = |amount: Option<Amount>, default: U96| {
            amount.map_or(default, |amount| U96::from(amount.min(Amount::MAX_COMPACT).get()))
        };
        let u128 = |amount: Option<Amount>| amount.map_or(u128::MAX, Amount::get);
        ICrosspointRegistry::Limits {
            minAmount: u96(self.min_amount, U96::ZERO),
            maxAmount: u96(self.max_amount, U96::MAX),
            memberPerDay: u128(self.member_per_day),
            inFlight: u128(self.in_flight),
        }
    }

    /// Limits may have been changed by governance since; a deployment must not quietly undo that, nor hide it.
    fn compare(&self, denom: &str, lane: &IGatewayAdmin::Lane) -> Result<(), DeployError> {
        let planned = self.encode();
        let what = |limit: &str| format!("the {limit} of {denom}");
        same(&what("least amount"), &lane.minAmount, &planned.minAmount)?;
        same(&what("most at once"), &lane.maxAmount, &planned.maxAmount)?;
        same(&what("most per member and day"), &lane.memberPerDay, &planned.memberPerDay)?;
        let in_flight = U120::try_from(planned.inFlight).unwrap_or(U120::MAX); // as the registry writes it
        same(&what("most in flight"), &lane.inFlight, &in_flight)
    }
}

impl Deployment<'_> {
    /// What is set for a denom of a client; `None` if the denom is not open to it.
    async fn lane(
        &self,
        gateway: Address,
        client: &ClientId,
        denom: &str,
    ) -> Result<Option<IGatewayAdmin::Lane>, DeployError> {
        let word = client_word(client);
        let key = keccak256([word, keccak256(denom).0].concat());
        let lane = self.read(gateway, &IGatewayAdmin::laneOfCall { laneKey: key }).await?;
        Ok((!lane.token.is_zero()).then_some(lane))
    }

    pub(super) async fn open_voucher(
        &self,
        registry: Address,
        gateway: Address,
        client: &ClientPlan,
        plan: &VoucherPlan,
    ) -> Result<(), DeployError> {
        let denom = format!("{}/{}/{}", crosspoint_protocol::PORT, client.client, plan.denom);
        if let Some(lane) = self.lane(gateway, &client.client, &denom).await? {
            let call =
                ICrosspointRegistry::supplyOfCall { client: client_word(&client.client).into(), denom: denom.clone() };
            same(&format!("the cap of {denom}"), &self.read(registry, &call).await?.cap, &U256::from(plan.cap.get()))?;
            let symbol = self.read(lane.token, &IToken::symbolCall {}).await?;
            same(&format!("the symbol of {denom}"), &symbol, &plan.symbol)?;
            return plan.limits.compare(&denom, &lane);
        }
        let call = ICrosspointRegistry::openVoucherCall {
            client: client_word(&client.client).into(),
            packetDenom: plan.denom.to_string(),
            name: plan.name.clone(),
            symbol: plan.symbol.clone(),
            decimals: plan.decimals,
            cap: plan.cap.get(),
            limits: plan.limits.encode(),
        };
        self.send(registry, || format!("voucher {denom}"), &call).await
    }

    pub(super) async fn list_token(
        &self,
        registry: Address,
        gateway: Address,
        client: &ClientPlan,
        plan: &TokenPlan,
    ) -> Result<(), DeployError> {
        let denom = address_text(&plan.token);
        if let Some(lane) = self.lane(gateway, &client.client, &denom).await? {
            return plan.limits.compare(&denom, &lane);
        }
        let call = ICrosspointRegistry::listTokenCall {
            client: client_word(&client.client).into(),
            token: plan.token,
            limits: plan.limits.encode(),
        };
        self.send(registry, || format!("the listing of {denom}"), &call).await
    }
}
