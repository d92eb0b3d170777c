//! Made-up rows that are valid, the same for the same seed.

use std::io::Write as _;

/// How much of a person a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Names and addresses read `Redacted`.
    Redacted,
    /// Everything is there.
    Identified,
    /// A linkage id stands in place of the person.
    Pprl,
}

/// A source of rows.
#[derive(Debug)]
pub struct Sample {
    seed: u64,
}

const HEADER: &str = "vax_event_id\text_type\tpprl_id\trecip_id\trecip_first_name\trecip_middle_name\trecip_last_name\trecip_dob\trecip_sex\trecip_address_street\trecip_address_street_2\trecip_address_city\trecip_address_county\trecip_address_state\trecip_address_zip\trecip_race_1\trecip_race_2\trecip_race_3\trecip_race_4\trecip_race_5\trecip_race_6\trecip_ethnicity\tadmin_date\tcvx\tndc\tmvx\tlot_number\tvax_expiration\tvax_admin_site\tvax_route\tdose_num\tvax_series_complete\tresponsible_org\tadmin_name\tvtrcks_prov_pin\tadmin_type\tadmin_address_street\tadmin_address_street_2\tadmin_address_city\tadmin_address_county\tadmin_address_state\tadmin_address_zip\tvax_refusal\tcmorbid_status\tserology";

impl Sample {
    /// A source of that seed and model.
    #[must_use]
    pub fn new(seed: u64, _model: Model) -> Self {
        Self { seed }
    }

    /// The header, without a line end.
    #[must_use]
    pub fn header_line(&self) -> &str {
        HEADER
    }

    /// Appends one row, without a line end.
    pub fn write_row(&self, index: u64, out: &mut Vec<u8>) {
        let _ = write!(
            out,
            "EV{:x}-{index}\tI\t\tP{index}\tAnn\tB\tDoe\t1980-01-01\tF\t1 Main St\tApt 1\tTown\t01001\tAL\t36003\t2106-3\t\t\t\t\t\t2186-5\t2021-01-05\t208\t\t\t\t\t\t\t1\tNO\tOrg\tClinic\t\t1\t\t\t\t\t\t\tNO\tUNK\tUNK",
            self.seed
        );
    }
}
