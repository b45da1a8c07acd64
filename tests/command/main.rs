//! The `strongroom` command, driven as a person or a script would.
