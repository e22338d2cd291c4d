//! Buckets as web sites: what a browser gets that asks for a page. Pure.
//!
//! Only what everybody may read is shown: each object is asked for as an anonymous GetObject, and what that answers is
//! all a site knows. Redirects and error pages come from the bucket's website document.
//!
//! Source: "Hosting a static website using Amazon S3", user guide.

mod page;
mod routing;

pub(crate) use page::error_page;
pub(crate) use routing::{Redirection, SiteRequest, index_key, index_of_directory, redirect_all, redirect_of_rules};
