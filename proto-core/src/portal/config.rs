//! What a FEP's operator decides.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::economics::Fees;
use crate::money::Currency;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    pub network: String,
    /// What users are billed and providers are paid in.
    pub currency: Currency,
    pub fees: Fees,
}
