//! The networks of hosting companies, by the numbers of their autonomous systems.

/// When [`SHIPPED`] was looked through.
const SHIPPED_AT: &str = "2026-11-24";

/// The autonomous systems of the largest clouds and hosting companies, with the names that the regional registries
/// have for them. In such networks stand servers, and only here and there somebody's own proxy. Networks through which
/// many people come, such as those of content delivery and private relays (Cloudflare 13335, Akamai 20940), are not
/// among them.
const SHIPPED: [u32; 36] = [
    7_203,   // Leaseweb USA, Inc.
    8_075,   // Microsoft Corporation
    8_560,   // IONOS SE
    8_987,   // Amazon Data Services Ireland Ltd
    9_009,   // M247 Europe SRL
    12_876,  // Scaleway SAS
    14_061,  // DigitalOcean, LLC
    14_618,  // Amazon.com, Inc. (AMAZON-AES)
    15_169,  // Google LLC
    16_276,  // OVH SAS
    16_509,  // Amazon.com, Inc. (AMAZON-02)
    20_473,  // The Constant Company, LLC (Vultr)
    24_940,  // Hetzner Online GmbH
    28_753,  // Leaseweb Deutschland GmbH
    29_802,  // HIVELOCITY, Inc.
    30_633,  // Leaseweb USA, Inc.
    31_898,  // Oracle Corporation
    36_351,  // IBM Cloud (SoftLayer)
    36_352,  // HostPapa (ColoCrossing)
    37_963,  // Hangzhou Alibaba Advertising Co., Ltd.
    40_021,  // Contabo Inc.
    45_090,  // Shenzhen Tencent Computer Systems Company Limited
    45_102,  // Alibaba (US) Technology Co., Ltd.
    47_583,  // Hostinger International Limited
    49_981,  // WorldStream B.V.
    51_167,  // Contabo GmbH
    53_667,  // FranTech Solutions
    60_781,  // LeaseWeb Netherlands B.V.
    63_949,  // Akamai Technologies, Inc. (Linode)
    132_203, // Shenzhen Tencent Computer Systems Company Limited (abroad)
    136_907, // HUAWEI INTERNATIONAL PTE. LTD.
    197_540, // netcup GmbH
    202_053, // UpCloud Ltd
    212_238, // Datacamp Limited
    213_230, // Hetzner Online GmbH (cloud)
    396_982, // Google LLC (cloud)
];

/// The autonomous systems that count as hosting.
#[derive(Debug)]
pub(super) struct HostingAsns {
    /// In their order.
    numbers: Vec<u32>,
    are_shipped: bool,
}

impl HostingAsns {
    /// Those of the configuration, else those that are shipped.
    pub(super) fn new(configured: Option<&[u32]>) -> Self {
        let mut numbers = configured.unwrap_or(&SHIPPED).to_vec();
        numbers.sort_unstable();
        Self { numbers, are_shipped: configured.is_none() }
    }

    /// What people know the list by, and when it was made.
    pub(super) fn source(&self) -> (String, Option<String>) {
        if self.are_shipped {
            ("hosting ASNs of magic-auth".to_owned(), Some(SHIPPED_AT.to_owned()))
        } else {
            ("[geoip] hosting_asns".to_owned(), None)
        }
    }

    pub(super) fn contains(&self, asn: u32) -> bool {
        self.numbers.binary_search(&asn).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_numbers_take_the_place_of_those_that_are_shipped() {
        let asns = HostingAsns::new(None);
        assert!(asns.are_shipped && SHIPPED.iter().all(|asn| asns.contains(*asn)) && !asns.contains(64_500));
        let asns = HostingAsns::new(Some(&[64_501, 64_500]));
        assert!(!asns.are_shipped && asns.contains(64_500) && asns.contains(64_501) && !asns.contains(16_509));
        assert!(!HostingAsns::new(Some(&[])).contains(16_509));
    }
}
