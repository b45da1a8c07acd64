//! How far long work has come, on standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use strongroom::Progress;

use crate::place;

const KNOWN: &str = "{spinner} {msg} [{bar:30}] {percent}%";
const UNKNOWN: &str = "{spinner} {msg}";

/// Does work that tells how far it has come. Nothing of it is left on the terminal.
pub(crate) fn follow<T>(what: impl Into<String>, work: impl FnOnce(&mut dyn FnMut(Progress)) -> T) -> T {
    let bar = place::waiting(what);
    let mut step = None;
    let done = work(&mut |progress: Progress| {
        if step != Some(progress.step) || bar.length() != progress.total {
            step = Some(progress.step);
            begin(&bar, &progress);
        }
        bar.set_position(progress.done);
    });
    bar.finish_and_clear();
    done
}

fn begin(bar: &ProgressBar, progress: &Progress) {
    let template = if progress.total.is_some() { KNOWN } else { UNKNOWN };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(progress.step);
    bar.set_position(progress.done);
    match progress.total {
        Some(total) => bar.set_length(total),
        None => bar.unset_length(),
    }
}
