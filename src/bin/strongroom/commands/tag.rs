//! `strongroom tag`.

use strongroom::{TagResourceRequest, UntagResourceRequest};

use crate::arguments::Tag;
use crate::commands::pair;
use crate::failure::Failure;
use crate::place;

pub(crate) fn run(arguments: Tag) -> Result<(), Failure> {
    let Tag { id, tags, remove, place } = arguments;
    if tags.is_empty() && remove.is_empty() {
        return Err(Failure::usage("nothing to do: give KEY=VALUE, or --remove KEY"));
    }
    let parse = |text: &String| pair(text, "a tag").map(|(key, value)| strongroom::Tag::new(key, value));
    let tags: Vec<strongroom::Tag> = tags.iter().map(parse).collect::<Result<_, _>>()?;
    let secrets = place::open(&place)?;
    if !tags.is_empty() {
        secrets.tag_resource(TagResourceRequest::new(id.as_str(), tags))?;
    }
    if !remove.is_empty() {
        secrets.untag_resource(UntagResourceRequest::new(id, remove))?;
    }
    Ok(())
}
