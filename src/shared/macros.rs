//! [`shared!`](crate::shared): structs of the user's whose fields are primitives.

/// Declares structs whose fields processes share: see [`Shared`](crate::Shared).
///
/// `struct Job from JobInit { .. }` declares two structs with the same fields. A [`Shared<Job>`](crate::Shared) gives
/// access to a `Job`, whose fields are handles of primitives, and copies of plain data. A `JobInit` says what a new one
/// begins with:
///
/// | field | begins with |
/// |---|---|
/// | [`Lock<T>`](crate::Lock) | the value that it guards, a `T` |
/// | [`Value<T>`](crate::Value) | the number, a `T` |
/// | [`Event`](crate::Event) | whether it is set, a `bool` |
/// | [`Latch`](crate::Latch) | where it begins to count, a `u32` |
/// | [`Semaphore`](crate::Semaphore) | how many permits there are, a `u32` |
/// | [`RwLock<T>`](crate::RwLock) | its data, a `T`; it has rows for 28 threads that read |
/// | [`BoundedSemaphore`](crate::BoundedSemaphore) | how many permits there are, 1 to 1,000, a `u32` |
/// | [`Condition<T>`](crate::Condition), [`ReentrantLock<T>`](crate::ReentrantLock) | the value that it guards, a `T` |
/// | [`OnceValue<T>`](crate::OnceValue), [`Once`](crate::Once) | nothing, a `()`: it is empty, or not done |
/// | [`Barrier`](crate::Barrier) | for how many parties it is, 1 to 64, a `u32`; a process is one from its first wait on |
/// | [`Plain`](crate::Plain) data that are `Copy` | the value; it never changes, and each process has a copy |
/// | another struct that `shared!` has declared | its init struct |
///
/// Write the items as usual; attributes, visibility and documentation are kept, and those of the fields stand in both
/// structs. Attributes of the struct itself, such as `#[derive(Debug)]`, are for the first only. If everything that the
/// fields begin with has a default, `JobInit` has one too.
///
/// # What is checked
///
/// What cannot lie in shared memory does not compile: pointers and references, owners of memory, values with gaps in
/// which something private could leak. Whether the bytes of `bool`s, `char`s and enums are values is checked when they
/// are read. A fingerprint of all names, types, sizes and alignments, in their order, keeps programs with different
/// declarations apart.
///
/// # Examples
///
/// A struct in a struct, and defaults:
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Event, Lock, Shared, Value};
///
/// multiproc::shared! {
///     /// One side of the game.
///     #[derive(Debug)]
///     pub struct Side from SideInit {
///         pub points: Value<u32>,
///         /// Set while this side is to move.
///         pub turn: Event,
///     }
///
///     pub struct Game from GameInit {
///         pub white: Side,
///         pub black: Side,
///         pub board: Lock<[u8; 64]>,
///         pub blitz: bool,
///     }
/// }
///
/// let game = Shared::<Game>::new(GameInit {
///     white: SideInit { turn: true, ..Default::default() },
///     black: SideInit::default(),
///     board: [0; 64],
///     blitz: true,
/// })?;
/// game.board.lock()?[12] = 1;
/// game.white.turn.clear();
/// game.black.turn.set();
/// assert!(game.blitz && game.black.turn.is_set());
/// # Ok(())
/// # }
/// ```
///
/// What owns memory does not compile:
///
/// ```compile_fail,E0277
/// multiproc::shared! {
///     struct Wrong from WrongInit { name: String }
/// }
/// # fn main() {}
/// ```
///
/// Nor does a pointer, nor a reference, also behind a lock:
///
/// ```compile_fail,E0277
/// multiproc::shared! {
///     struct Wrong from WrongInit { next: *const u8 }
/// }
/// # fn main() {}
/// ```
///
/// ```compile_fail,E0277
/// multiproc::shared! {
///     struct Wrong from WrongInit { name: &'static str }
/// }
/// # fn main() {}
/// ```
///
/// ```compile_fail,E0277
/// multiproc::shared! {
///     struct Wrong from WrongInit { name: multiproc::Lock<&'static str> }
/// }
/// # fn main() {}
/// ```
///
/// Nor does a value with a gap:
///
/// ```compile_fail,E0277
/// #[derive(Clone, Copy)]
/// #[repr(C)]
/// struct Gap { small: u8, large: u64 }
///
/// multiproc::shared! {
///     struct Wrong from WrongInit { gap: Gap }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! shared {
    () => {};
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident from $init:ident {
            $( $(#[$fmeta:meta])* $fvis:vis $field:ident : $ty:ty ),* $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $( $(#[$fmeta])* $fvis $field : $ty ),*
        }

        #[doc = ::core::concat!("What a new [`", ::core::stringify!($name), "`] begins with.")]
        $vis struct $init {
            $( $(#[$fmeta])* $fvis $field : $crate::__private::Init<$ty> ),*
        }

        // The bounds hold for all lifetimes, so that those that do not hold are allowed.
        impl ::core::default::Default for $init
        where
            $( for<'any> $crate::__private::Init<$ty>: ::core::default::Default ),*
        {
            fn default() -> Self {
                $init { $( $field: ::core::default::Default::default() ),* }
            }
        }

        impl $crate::SharedStruct for $name {
            const NAME: &'static str = ::core::stringify!($name);
        }

        impl $crate::SharedField for $name {
            type Init = $init;

            fn plan(plan: &mut $crate::__private::Plan) {
                plan.structure(::core::stringify!($name), |_plan| {
                    $( _plan.field::<$ty>(::core::stringify!($field)); )*
                });
            }

            fn make(_init: &$init, _maker: &mut $crate::__private::Maker<'_>) -> $crate::Result<()> {
                $( _maker.field::<$ty>(&_init.$field)?; )*
                ::core::result::Result::Ok(())
            }

            fn open(_opener: &mut $crate::__private::Opener<'_>) -> $crate::Result<Self> {
                ::core::result::Result::Ok($name {
                    $( $field: _opener.field::<$ty>()?, )*
                })
            }
        }

        $crate::shared! { $($rest)* }
    };
    ( $(#[$meta:meta])* $vis:vis struct $name:ident { $($rest:tt)* } $($more:tt)* ) => {
        ::core::compile_error! { ::core::concat!(
            "name the struct that says what a new `", ::core::stringify!($name), "` begins with: `struct ",
            ::core::stringify!($name), " from ", ::core::stringify!($name), "Init { .. }`"
        ) }
    };
}
