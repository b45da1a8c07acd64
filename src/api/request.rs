//! How requests and responses are declared: members named as the API names them, a constructor for the required ones of
//! a request, and a setter for each optional one. With feature `json`, requests are read from the API's JSON and
//! responses are written as such.

/// Declares a request. Every member is an `Option`, because the API tells an absent member from an empty one.
macro_rules! request {
    (
        $(#[$doc:meta])*
        $name:ident {
            $(required { $($(#[$required_doc:meta])* $required:ident: $required_type:ty,)+ })?
            $(required_renamed { $($(#[$key_doc:meta])* $key:ident as $key_name:literal: $key_type:ty,)+ })?
            $(required_lists { $($(#[$required_list_doc:meta])* $required_list:ident: $required_list_type:ty,)+ })?
            $(optional { $($(#[$optional_doc:meta])* $optional:ident: $optional_type:ty,)+ })?
            $(renamed { $($(#[$renamed_doc:meta])* $renamed:ident as $renamed_name:literal: $renamed_type:ty,)+ })?
            $(structures { $($(#[$structure_doc:meta])* $structure:ident: $structure_type:ty,)+ })?
            $(lists { $($(#[$list_doc:meta])* $list:ident: $list_type:ty,)+ })?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        #[cfg_attr(feature = "json", derive(serde::Deserialize))]
        #[cfg_attr(feature = "json", serde(rename_all = "PascalCase"))]
        #[non_exhaustive]
        pub struct $name {
            $($($(#[$required_doc])* pub $required: Option<$required_type>,)+)?
            $($(
                $(#[$key_doc])*
                #[cfg_attr(feature = "json", serde(rename = $key_name))]
                pub $key: Option<$key_type>,
            )+)?
            $($(
                $(#[$required_list_doc])*
                #[cfg_attr(feature = "json", serde(default, deserialize_with = "crate::json::list"))]
                pub $required_list: Option<Vec<$required_list_type>>,
            )+)?
            $($($(#[$optional_doc])* pub $optional: Option<$optional_type>,)+)?
            $($(
                $(#[$renamed_doc])*
                #[cfg_attr(feature = "json", serde(rename = $renamed_name))]
                pub $renamed: Option<$renamed_type>,
            )+)?
            $($(
                $(#[$structure_doc])*
                #[cfg_attr(feature = "json", serde(default, deserialize_with = "crate::json::structure"))]
                pub $structure: Option<$structure_type>,
            )+)?
            $($(
                $(#[$list_doc])*
                #[cfg_attr(feature = "json", serde(default, deserialize_with = "crate::json::list"))]
                pub $list: Option<Vec<$list_type>>,
            )+)?
        }

        impl $name {
            /// A request with its required members.
            pub fn new(
                $($($required: impl Into<$required_type>,)+)?
                $($($key: impl Into<$key_type>,)+)?
                $($($required_list: impl IntoIterator<Item = impl Into<$required_list_type>>,)+)?
            ) -> Self {
                Self {
                    $($($required: Some($required.into()),)+)?
                    $($($key: Some($key.into()),)+)?
                    $($($required_list: Some($required_list.into_iter().map(Into::into).collect()),)+)?
                    ..Self::default()
                }
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
                $(#[$renamed_doc])*
                #[must_use]
                pub fn $renamed(mut self, $renamed: impl Into<$renamed_type>) -> Self {
                    self.$renamed = Some($renamed.into());
                    self
                }
            )+)?

            $($(
                $(#[$structure_doc])*
                #[must_use]
                pub fn $structure(mut self, $structure: impl Into<$structure_type>) -> Self {
                    self.$structure = Some($structure.into());
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

        crate::observe::parameters::request_members! {
            $name {
                $($($required,)+)?
                $($($key,)+)?
                $($($required_list,)+)?
                $($($optional,)+)?
                $($($renamed,)+)?
                $($($structure,)+)?
                $($($list,)+)?
            }
        }
    };
}

/// Declares a response, or a structure inside one. In JSON an absent member is left out, dates are seconds since 1970,
/// and names end with `ARN` as the API has them.
macro_rules! response {
    ($(#[$attribute:meta])* $name:ident { $($members:tt)* }) => {
        response!(@member [$(#[$attribute])* $name] [] [] $($members)*);
    };

    (@member [$($head:tt)*] [$($names:tt)*] [$($done:tt)*] $(#[$doc:meta])* arn: String, $($rest:tt)*) => {
        response!(@member [$($head)*] [$($names)* arn,] [
            $($done)*
            $(#[$doc])*
            #[cfg_attr(feature = "json", serde(rename = "ARN"))]
            pub arn: String,
        ] $($rest)*);
    };
    (@member [$($head:tt)*] [$($names:tt)*] [$($done:tt)*] $(#[$doc:meta])* $member:ident as $name:literal: Option<$inner:ty>, $($rest:tt)*) => {
        response!(@member [$($head)*] [$($names)* $member,] [
            $($done)*
            $(#[$doc])*
            #[cfg_attr(feature = "json", serde(rename = $name))]
            #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
            pub $member: Option<$inner>,
        ] $($rest)*);
    };
    (@member [$($head:tt)*] [$($names:tt)*] [$($done:tt)*] $(#[$doc:meta])* $member:ident as $name:literal: $type:ty, $($rest:tt)*) => {
        response!(@member [$($head)*] [$($names)* $member,] [
            $($done)*
            $(#[$doc])*
            #[cfg_attr(feature = "json", serde(rename = $name))]
            pub $member: $type,
        ] $($rest)*);
    };
    (@member [$($head:tt)*] [$($names:tt)*] [$($done:tt)*] $(#[$doc:meta])* $member:ident: Timestamp, $($rest:tt)*) => {
        response!(@member [$($head)*] [$($names)* $member,] [
            $($done)*
            $(#[$doc])*
            #[cfg_attr(feature = "json", serde(serialize_with = "crate::json::date"))]
            pub $member: Timestamp,
        ] $($rest)*);
    };
    (@member [$($head:tt)*] [$($names:tt)*] [$($done:tt)*] $(#[$doc:meta])* $member:ident: Option<Timestamp>, $($rest:tt)*) => {
        response!(@member [$($head)*] [$($names)* $member,] [
            $($done)*
            $(#[$doc])*
            #[cfg_attr(feature = "json", serde(serialize_with = "crate::json::optional_date"))]
            #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
            pub $member: Option<Timestamp>,
        ] $($rest)*);
    };
    (@member [$($head:tt)*] [$($names:tt)*] [$($done:tt)*] $(#[$doc:meta])* $member:ident: Option<$inner:ty>, $($rest:tt)*) => {
        response!(@member [$($head)*] [$($names)* $member,] [
            $($done)*
            $(#[$doc])*
            #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
            pub $member: Option<$inner>,
        ] $($rest)*);
    };
    (@member [$($head:tt)*] [$($names:tt)*] [$($done:tt)*] $(#[$doc:meta])* $member:ident: $type:ty, $($rest:tt)*) => {
        response!(@member [$($head)*] [$($names)* $member,] [$($done)* $(#[$doc])* pub $member: $type,] $($rest)*);
    };

    (@member [$(#[$attribute:meta])* $name:ident] [$($names:tt)*] [$($done:tt)*]) => {
        $(#[$attribute])*
        #[cfg_attr(feature = "json", derive(serde::Serialize))]
        #[cfg_attr(feature = "json", serde(rename_all = "PascalCase"))]
        #[non_exhaustive]
        pub struct $name {
            $($done)*
        }

        crate::observe::parameters::parameter_members!($name { $($names)* });
    };
}
