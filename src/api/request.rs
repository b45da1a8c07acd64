//! How request structs are declared: members named as the API names them, a constructor for the required ones, and a
//! setter for each optional one.

/// Declares a request. Optional members are `Option`s, because the API tells an absent member from an empty one.
macro_rules! request {
    (
        $(#[$doc:meta])*
        $name:ident {
            $(required { $($(#[$required_doc:meta])* $required:ident: $required_type:ty,)+ })?
            $(optional { $($(#[$optional_doc:meta])* $optional:ident: $optional_type:ty,)+ })?
            $(lists { $($(#[$list_doc:meta])* $list:ident: $list_type:ty,)+ })?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        #[non_exhaustive]
        pub struct $name {
            $($($(#[$required_doc])* pub $required: $required_type,)+)?
            $($($(#[$optional_doc])* pub $optional: Option<$optional_type>,)+)?
            $($($(#[$list_doc])* pub $list: Option<Vec<$list_type>>,)+)?
        }

        impl $name {
            /// A request with its required members.
            pub fn new($($($required: impl Into<$required_type>,)+)?) -> Self {
                Self { $($($required: $required.into(),)+)? ..Self::default() }
            }

            $($(
                $(#[$optional_doc])*
                #[must_use]
                pub fn $optional(mut self, $optional: impl Into<$optional_type>) -> Self {
                    self.$optional = Some($optional.into());
                    self
                }
            )+)?

            $($(
                $(#[$list_doc])*
                #[must_use]
                pub fn $list<I: Into<$list_type>>(mut self, $list: impl IntoIterator<Item = I>) -> Self {
                    self.$list = Some($list.into_iter().map(Into::into).collect());
                    self
                }
            )+)?
        }
    };
}
