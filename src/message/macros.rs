//! [`message!`](crate::message): structs and enums of the user's.

/// Declares structs and enums that can cross between processes.
///
/// Write the items as usual; attributes, visibility and documentation are kept. Each becomes a
/// [`Message`](crate::Message), and gets a twin for readers whose name starts with `Archived`: the same fields, or the
/// same variants, in the form in which they lie in shared memory. The twin is `Debug`. No dependency on rkyv is needed.
///
/// Every field's type must itself be a [`Message`](crate::Message).
///
/// A type may have parameters, as in `struct Pair<K, V>`, written without bounds: each stands for a message that is
/// `Debug`. Lifetimes and constants are refused by the compiler, and so are types that contain themselves, also through
/// a `Box` or a `Vec` (it says "overflow evaluating"): send a tree as a vector of nodes that name each other by index,
/// as below.
///
/// Further derives for the twin are asked for with rkyv's own attribute, for instance
/// `#[rkyv(compare(PartialEq))]` to compare `ArchivedOrder` with `Order`.
///
/// # Examples
///
/// A struct with text and a nested vector, read in place:
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// multiproc::message! {
///     /// What the sensor saw.
///     #[derive(Debug, Clone, PartialEq)]
///     pub struct Sample {
///         pub sensor: String,
///         pub at: u64,
///         pub rows: Vec<Vec<f64>>,
///     }
/// }
///
/// let queue = multiproc::Queue::<Sample>::new(8)?;
/// queue.put(Sample { sensor: "north".into(), at: 7, rows: vec![vec![0.5, 1.5], vec![]] })?;
///
/// let sample = queue.get()?;                      // a guard on `ArchivedSample`, nothing was unpacked
/// assert_eq!(sample.sensor, "north");             // text compares with text
/// assert_eq!(sample.at, 7);                       // numbers compare with numbers
/// assert_eq!(sample.at.to_native() + 1, 8);       // ... and compute after to_native()
/// assert_eq!(sample.rows[0][1], 1.5);             // nested vectors are nested slices
/// assert!(sample.rows[1].is_empty());
/// # Ok(())
/// # }
/// ```
///
/// An enum: match the archived variants.
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// multiproc::message! {
///     pub enum Shape {
///         Circle { radius: f64 },
///         Rectangle(f64, f64),
///         Nothing,
///     }
/// }
///
/// fn area(shape: &ArchivedShape) -> f64 {
///     match shape {
///         ArchivedShape::Circle { radius } => 3.0 * radius.to_native().powi(2),
///         ArchivedShape::Rectangle(a, b) => a.to_native() * b.to_native(),
///         ArchivedShape::Nothing => 0.0,
///     }
/// }
///
/// let queue = multiproc::Queue::<Shape>::new(8)?;
/// queue.put(Shape::Rectangle(2.0, 3.0))?;
/// let shape = queue.get()?;
/// assert_eq!(area(&shape), 6.0);
/// # Ok(())
/// # }
/// ```
///
/// A type with parameters:
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// multiproc::message! {
///     pub struct Job<Input> {
///         pub id: u64,
///         pub input: Input,
///     }
/// }
///
/// let jobs = multiproc::Queue::<Job<String>>::new(8)?;
/// jobs.put(Job { id: 1, input: "cut the hedge".to_string() })?;
/// let job = jobs.get()?;                           // a guard on `ArchivedJob<String>`
/// assert_eq!(job.input.as_str(), "cut the hedge");
/// # Ok(())
/// # }
/// ```
///
/// A tree: its nodes lie in one vector, and know their children by index.
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// multiproc::message! {
///     pub struct Node { pub name: String, pub children: Vec<u32> }
///     pub struct Tree { pub nodes: Vec<Node> }         // the first is the root
/// }
///
/// fn depth(tree: &ArchivedTree, node: usize) -> usize {
///     let children = tree.nodes[node].children.iter();
///     1 + children.map(|child| depth(tree, child.to_native() as usize)).max().unwrap_or(0)
/// }
///
/// let node = |name: &str, children| Node { name: name.into(), children };
/// let trees = multiproc::Queue::<Tree>::new(8)?;
/// trees.put(Tree { nodes: vec![node("root", vec![1]), node("branch", vec![2]), node("leaf", vec![])] })?;
/// assert_eq!(depth(&*trees.get()?, 0), 3);
/// # Ok(())
/// # }
/// ```
///
/// What cannot cross does not compile:
///
/// ```compile_fail
/// multiproc::message! {
///     pub struct Borrowed<'a> { text: &'a str }        // parameters are types only
/// }
/// # fn main() {}
/// ```
///
/// ```compile_fail,E0275
/// multiproc::message! {
///     pub struct Tree { children: Vec<Tree> }          // contains itself
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! message {
    () => {};
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(< $($param:ident),+ $(,)? >)? {
            $( $(#[$fmeta:meta])* $fvis:vis $field:ident : $ty:ty ),* $(,)?
        }
        $($rest:tt)*
    ) => {
        #[derive($crate::rkyv::Archive, $crate::rkyv::Serialize, $crate::rkyv::Deserialize)]
        #[rkyv(crate = $crate::rkyv, derive(Debug))]
        #[rkyv(archive_bounds($( $ty: $crate::rkyv::Archive<Archived: ::core::fmt::Debug> ),*))]
        $(#[$meta])*
        $vis struct $name $(< $($param: $crate::Message + ::core::fmt::Debug),+ >)? {
            $( $(#[$fmeta])* $fvis $field : $ty ),*
        }
        $crate::__message_impl! {
            $name, [ $($($param),+)? ], "struct",
            [ $( $ty ),* ],
            [ $( .field(stringify!($field), <$ty as $crate::Message>::FINGERPRINT) )* ],
            this => { 0 $( + $crate::Message::extra(&this.$field) )* }
        }
        $crate::message! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(< $($param:ident),+ $(,)? >)? (
            $( $(#[$fmeta:meta])* $fvis:vis $ty:ty ),* $(,)?
        ) ;
        $($rest:tt)*
    ) => {
        #[derive($crate::rkyv::Archive, $crate::rkyv::Serialize, $crate::rkyv::Deserialize)]
        #[rkyv(crate = $crate::rkyv, derive(Debug))]
        #[rkyv(archive_bounds($( $ty: $crate::rkyv::Archive<Archived: ::core::fmt::Debug> ),*))]
        $(#[$meta])*
        $vis struct $name $(< $($param: $crate::Message + ::core::fmt::Debug),+ >)? ( $( $(#[$fmeta])* $fvis $ty ),* );
        $crate::__message_impl! {
            $name, [ $($($param),+)? ], "tuple",
            [ $( $ty ),* ],
            [ $( .with(<$ty as $crate::Message>::FINGERPRINT) )* ],
            this => { $crate::__message_extra!(@tuple this, 0, [$($ty),*], 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15) }
        }
        $crate::message! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident ;
        $($rest:tt)*
    ) => {
        #[derive($crate::rkyv::Archive, $crate::rkyv::Serialize, $crate::rkyv::Deserialize)]
        #[rkyv(crate = $crate::rkyv, derive(Debug))]
        $(#[$meta])*
        $vis struct $name;
        $crate::__message_impl! { $name, [], "unit", [], [], this => { 0 } }
        $crate::message! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident $(< $($param:ident),+ $(,)? >)? {
            $(
                $(#[$vmeta:meta])*
                $variant:ident
                $( { $( $(#[$fmeta:meta])* $field:ident : $fty:ty ),* $(,)? } )?
                $( ( $( $(#[$tmeta:meta])* $tty:ty ),* $(,)? ) )?
                $( = $discriminant:expr )?
            ),* $(,)?
        }
        $($rest:tt)*
    ) => {
        #[derive($crate::rkyv::Archive, $crate::rkyv::Serialize, $crate::rkyv::Deserialize)]
        #[rkyv(crate = $crate::rkyv, derive(Debug))]
        #[rkyv(archive_bounds($(
            $( $( $fty: $crate::rkyv::Archive<Archived: ::core::fmt::Debug>, )* )?
            $( $( $tty: $crate::rkyv::Archive<Archived: ::core::fmt::Debug>, )* )?
        )*))]
        $(#[$meta])*
        $vis enum $name $(< $($param: $crate::Message + ::core::fmt::Debug),+ >)? {
            $(
                $(#[$vmeta])*
                $variant
                $( { $( $(#[$fmeta])* $field : $fty ),* } )?
                $( ( $( $(#[$tmeta])* $tty ),* ) )?
                $( = $discriminant )?
            ),*
        }
        $crate::__message_impl! {
            $name, [ $($($param),+)? ], "enum",
            [ $( $( $( $fty, )* )? $( $( $tty, )* )? )* ],
            [ $(
                .name(stringify!($variant))
                $( .name("{") $( .field(stringify!($field), <$fty as $crate::Message>::FINGERPRINT) )* )?
                $( .name("(") $( .with(<$tty as $crate::Message>::FINGERPRINT) )* )?
            )* ],
            this => { {
                $(
                    $( if let $name::$variant { $( $field ),* } = this {
                        return 0 $( + $crate::Message::extra($field) )*;
                    } )?
                    $( $crate::__message_extra!(
                        @variant this, $name::$variant, [$($tty),*], 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
                    ); )?
                )*
                0
            } }
        }
        $crate::message! { $($rest)* }
    };
    ( $(#[$meta:meta])* $vis:vis struct $name:ident < $($rest:tt)* ) => {
        $crate::__message_parameters! { $name }
    };
    ( $(#[$meta:meta])* $vis:vis enum $name:ident < $($rest:tt)* ) => {
        $crate::__message_parameters! { $name }
    };
}

/// What is said about parameters that cannot be.
#[doc(hidden)]
#[macro_export]
macro_rules! __message_parameters {
    ($name:ident) => {
        ::core::compile_error! { ::core::concat!(
            "the message `", ::core::stringify!($name), "` can have type parameters without bounds, as in `<K, V>`, ",
            "each of which is a message; no lifetimes, constants, bounds or `where`"
        ) }
    };
}

/// Implements `Message` and forwarding for a type that has rkyv's derives.
#[doc(hidden)]
#[macro_export]
macro_rules! __message_impl {
    (
        $name:ident, [ $($param:ident),* ], $kind:literal, [ $($ty:ty),* $(,)? ], [ $($shape:tt)* ], $this:ident => { $extra:expr }
    ) => {
        // SAFETY: every body is the one that the crate gives to all types with rkyv's derives; the fingerprint names
        // all fields in order, and `FIXED` holds when it holds for each of them.
        unsafe impl<$($param: $crate::Message + ::core::fmt::Debug),*> $crate::Message for $name<$($param),*> {
            const FIXED: ::core::option::Option<usize> =
                if true $( && <$ty as $crate::Message>::FIXED.is_some() )* {
                    ::core::option::Option::Some($crate::__private::inline_size::<Self>())
                } else {
                    ::core::option::Option::None
                };
            const FINGERPRINT: u64 = $crate::__private::Shape::new($kind)
                .name(stringify!($name))
                $($shape)*
                .finish();

            fn type_name() -> ::std::string::String {
                let parameters: &[::std::string::String] = &[$( <$param as $crate::Message>::type_name() ),*];
                $crate::__private::generic_name(stringify!($name), parameters)
            }

            #[inline]
            fn extra(&self) -> usize {
                let $this = self;
                // A type without parts uses it nowhere else.
                let _ = $this;
                $extra
            }

            $crate::__message_in_place!();
        }

        impl<$($param: $crate::Message + ::core::fmt::Debug),*> $crate::Encode<$name<$($param),*>>
            for &$crate::rkyv::Archived<$name<$($param),*>>
        {
            $crate::__message_forward!($name<$($param),*>);
        }
    };
}

/// A guess at the out-of-line bytes of positional fields, which macros by example cannot count by themselves.
#[doc(hidden)]
#[macro_export]
macro_rules! __message_extra {
    (@tuple $this:ident, $sum:expr, [], $($index:tt)*) => {
        { let _ = $this; $sum }
    };
    (@tuple $this:ident, $sum:expr, [$ty:ty $(, $more:ty)*], $first:tt $($index:tt)*) => {
        $crate::__message_extra!(
            @tuple $this, $sum + $crate::Message::extra(&$this.$first), [$($more),*], $($index)*
        )
    };
    (@tuple $this:ident, $sum:expr, [$($more:ty),*],) => { $sum };
    (@variant $this:ident, $name:ident :: $variant:ident, [], $($index:tt)*) => {};
    (@variant $this:ident, $name:ident :: $variant:ident, [$ty:ty $(, $more:ty)*], $first:tt $($index:tt)*) => {
        if let $name::$variant { $first: part, .. } = $this {
            let extra = $crate::Message::extra(part);
            if extra != 0 {
                return extra;
            }
        }
        $crate::__message_extra!(@variant $this, $name::$variant, [$($more),*], $($index)*)
    };
    (@variant $this:ident, $name:ident :: $variant:ident, [$($more:ty),*],) => {};
}

/// The bodies that are the same for every message that rkyv archives.
#[doc(hidden)]
#[macro_export]
macro_rules! __message_in_place {
    () => {
        type View = $crate::rkyv::Archived<Self>;
        const ALIGN: usize = ::core::mem::align_of::<$crate::rkyv::Archived<Self>>();

        #[inline]
        fn write(
            &self,
            room: &mut [::core::mem::MaybeUninit<u8>],
        ) -> ::core::result::Result<usize, $crate::WriteError> {
            $crate::__private::write_value(self, room, <Self as $crate::Message>::FIXED)
        }

        #[inline]
        unsafe fn view(bytes: &[u8]) -> &Self::View {
            // SAFETY: passed on from the caller.
            unsafe { $crate::__private::view_value(bytes) }
        }

        #[inline]
        unsafe fn view_mut(bytes: &mut [u8]) -> &mut Self::View {
            // SAFETY: passed on from the caller.
            unsafe { $crate::__private::view_value_mut(bytes) }
        }

        #[inline]
        fn check(bytes: &[u8]) -> ::core::result::Result<&Self::View, $crate::InvalidMessage> {
            $crate::__private::check_value(bytes)
        }

        #[inline]
        fn to_owned(view: &Self::View) -> ::core::result::Result<Self, $crate::Error> {
            $crate::__private::own_value::<Self>(view)
        }

        fn forward(
            view: &Self::View,
            room: &mut [::core::mem::MaybeUninit<u8>],
        ) -> ::core::result::Result<usize, $crate::WriteError> {
            $crate::__private::forward_value::<Self>(view, room)
        }
    };
}

/// The body of [`Encode`](crate::Encode) for a reference to an archived value.
#[doc(hidden)]
#[macro_export]
macro_rules! __message_forward {
    ($message:ty) => {
        #[inline]
        fn guess(&self) -> usize {
            $crate::__private::inline_size::<$message>()
        }

        #[inline]
        fn encode(
            &self,
            room: &mut [::core::mem::MaybeUninit<u8>],
        ) -> ::core::result::Result<usize, $crate::WriteError> {
            <$message as $crate::Message>::forward(self, room)
        }
    };
}
