//! Blocks of IP addresses in CIDR notation.

use std::net::IpAddr;

/// A block of addresses. An IPv4 address that came wrapped in IPv6 (`::ffff:10.0.0.1`) counts as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpBlock {
    network: IpAddr,
    prefix: u8,
}

impl IpBlock {
    /// Reads `address/prefix` or a single address.
    pub fn parse(text: &str) -> Option<IpBlock> {
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let network: IpAddr = address.parse().ok()?;
        let bits = width(&network);
        let prefix = match prefix {
            None => bits,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= bits)?
            }
            Some(_) => return None,
        };
        Some(IpBlock { network, prefix })
    }

    /// Whether an address lies in the block.
    pub fn contains(&self, address: &str) -> bool {
        let Ok(address) = address.parse::<IpAddr>() else { return false };
        let address = address.to_canonical();
        if width(&address) != width(&self.network) {
            return false;
        }
        let host_bits = u32::from(width(&address) - self.prefix);
        let high = |address: &IpAddr| number(address).checked_shr(host_bits).unwrap_or(0);
        high(&address) == high(&self.network)
    }

    /// Whether it is so wide that a policy restricted to it is public: more than /8 of IPv4, more than /32 of IPv6.
    /// Private address space does not count.
    pub fn is_wide(&self) -> bool {
        match self.network {
            IpAddr::V4(_) => self.prefix < 8,
            IpAddr::V6(address) => self.prefix < 32 && !(address.is_unique_local() && self.prefix >= 7),
        }
    }
}

fn width(address: &IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: &IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(*address)),
        IpAddr::V6(address) => u128::from(*address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks() {
        for (block, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.5", "10.0.0.5", true),
            ("10.0.0.5", "10.0.0.6", false),
            ("10.0.0.7/24", "10.0.0.200", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("10.0.0.0/8", "nonsense", false),
        ] {
            assert_eq!(IpBlock::parse(block).unwrap().contains(address), expected, "{block} {address}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "::/129", "a/8"] {
            assert_eq!(IpBlock::parse(bad), None, "{bad}");
        }
        for (block, wide) in [("10.0.0.0/8", false), ("8.0.0.0/7", true), ("::/0", true), ("2001:db8::/32", false)] {
            assert_eq!(IpBlock::parse(block).unwrap().is_wide(), wide, "{block}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(block in "[0-9a-f:./]{0,24}", address in "[0-9a-f:.]{0,24}") {
            if let Some(block) = IpBlock::parse(&block) {
                block.contains(&address);
                block.is_wide();
            }
        }
    }
}
