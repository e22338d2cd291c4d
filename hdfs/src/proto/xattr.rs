//! Extended attributes (`xattr.proto`).

/// `XAttrProto.XAttrNamespaceProto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum XAttrNamespace {
    User = 0,
    Trusted = 1,
    Security = 2,
    System = 3,
    Raw = 4,
}

/// `XAttrProto`. The name has no namespace before it.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct XAttr {
    #[prost(enumeration = "XAttrNamespace", required, tag = "1")]
    pub namespace: i32,
    #[prost(string, required, tag = "2")]
    pub name: String,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub value: Option<Vec<u8>>,
}

/// `XAttrSetFlagProto`: the attribute may be new.
pub const XATTR_CREATE: u32 = 1;
/// `XAttrSetFlagProto`: the attribute may be there.
pub const XATTR_REPLACE: u32 = 2;
