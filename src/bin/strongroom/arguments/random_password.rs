//! The arguments of `random-password`.

use clap::{Args, ValueEnum};

use crate::arguments::Format;

#[derive(Debug, Args)]
pub(crate) struct RandomPassword {
    /// How many characters: 1 to 4,096
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(crate) length: i64,

    /// Characters that must not appear
    #[arg(long, value_name = "CHARACTERS")]
    pub(crate) exclude_characters: Option<String>,

    /// Types of characters to leave out, separated by commas
    #[arg(long, value_enum, value_name = "TYPE", value_delimiter = ',')]
    pub(crate) exclude: Vec<CharacterType>,

    /// A space may appear
    #[arg(long)]
    pub(crate) include_space: bool,

    /// Not every type of character has to appear
    #[arg(long)]
    pub(crate) any_types: bool,

    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CharacterType {
    Numbers,
    Punctuation,
    Uppercase,
    Lowercase,
}
