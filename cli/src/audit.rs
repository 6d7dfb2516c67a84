//! `labman-cli audit`: asks no daemon, but the files that it left.

use std::path::{Path, PathBuf};

use clap::Args;
use labman_node::{audit, config};
use labman_proto_core::limits::EXPOSURE;
use labman_proto_core::money::Micros;

#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// The provider's data directory, instead of the one its config names
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What each FEP may owe it in each currency (default: what its config says, 10.00 without one)
    #[arg(long, value_name = "AMOUNT")]
    exposure: Option<Micros>,
    /// A FEP's data directory: its books and the provider's must agree
    #[arg(long, value_name = "DIR")]
    fep_data_dir: Option<PathBuf>,
    /// That of a gateway: with all that may bring it receipts, what never came is told from what is on its way
    #[arg(long, value_name = "DIR", requires = "fep_data_dir")]
    gateway_data_dir: Vec<PathBuf>,
}

impl Audit {
    pub(crate) fn run(&self, config: &Path, as_json: bool) -> Result<(), String> {
        let (data_dir, exposure) = match &self.data_dir {
            Some(data_dir) => (data_dir.clone(), EXPOSURE.into()),
            None => {
                let config = config::labmand::Labmand::read(config)
                    .map_err(|why| format!("{why}; or name the data directory with --data-dir"))?;
                (config.data_dir, config.node.provider.map_or(EXPOSURE.into(), |provider| provider.exposure))
            }
        };
        let exposure = self.exposure.map_or(exposure, Into::into);
        let mut report = audit::provider(&data_dir, &exposure)?;
        if let Some(fep) = &self.fep_data_dir {
            report.join(audit::between(&data_dir, fep, &self.gateway_data_dir)?);
        }
        audit::show(&report, as_json)
    }
}
