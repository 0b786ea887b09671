//! [`service!`](crate::service): traits of the user's whose methods are called across processes.

/// Declares traits whose methods other processes call: an object that implements one stays in the process that has it, and is
/// [served](crate::Manager::serve) there; others have a [`Proxy`](crate::Proxy) with the same methods.
///
/// Write the trait as usual; attributes, visibility and documentation are kept. A method takes `&self` or `&mut self`, and
/// messages by value: numbers, text, vectors, [shared objects](crate::Message), types declared by
/// [`message!`](crate::message). It returns a message, or nothing. The service is named as the trait object: `dyn Calculator`.
///
/// With the proxy, every method returns a `Result` of what it returns here, with a [`CallError`](crate::CallError). What a proxy
/// itself can do comes first: a method called `with_timeout` or `clone` is reached as `(*proxy).clone()`.
///
/// Arguments cannot be of types called `ServiceRequest`, `ServiceReply` or `ServiceCalls`, which the macro declares where
/// nobody else sees them.
///
/// Programs whose traits differ, in the name or the order, names and types of the methods and what they take and return, refuse
/// each other ([`WrongType`](crate::ErrorKind::WrongType)).
///
/// # Examples
///
/// ```
/// use multiproc::{Manager, Process, Proxy};
///
/// multiproc::service! {
///     /// A calculator with a memory.
///     pub trait Calculator {
///         /// Adds to the memory, and returns what is there then.
///         fn add(&mut self, amount: i64) -> i64;
///         fn label(&self) -> String;
///     }
/// }
///
/// /// Whatever it needs, it may have: files, connections, threads.
/// struct Desk {
///     memory: i64,
/// }
///
/// impl Calculator for Desk {
///     fn add(&mut self, amount: i64) -> i64 {
///         self.memory += amount;
///         self.memory
///     }
///
///     fn label(&self) -> String {
///         format!("{} so far", self.memory)
///     }
/// }
///
/// fn work(calculator: Proxy<dyn Calculator>) -> multiproc::Result<()> {
///     calculator.add(3)?;
///     Ok(())
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let manager = Manager::new()?;
/// let served = manager.serve::<dyn Calculator>("calculator", Box::new(Desk { memory: 0 }))?;
///
/// let calculator = manager.proxy::<dyn Calculator>("calculator")?;     // in any process that has the manager
/// assert_eq!(calculator.add(5)?, 5);
/// Process::spawn(work, (calculator.clone(),))?.join()?;
/// assert_eq!(calculator.label()?, "8 so far");
/// drop(served);
/// # Ok(())
/// # }
/// ```
///
/// What cannot cross does not compile:
///
/// ```compile_fail,E0277
/// multiproc::service! {
///     pub trait Reader {
///         fn read(&mut self, file: std::fs::File) -> u64;      // a file is no message
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! service {
    () => {};
    (
        $(#[$meta:meta])*
        $vis:vis trait $name:ident { $($methods:tt)* }
        $($rest:tt)*
    ) => {
        $crate::__service! { @methods shared [ $(#[$meta])* $vis trait $name ] [] $($methods)* }
        $crate::service! { $($rest)* }
    };
}

/// Takes a service apart, method by method, and declares it.
#[doc(hidden)]
#[macro_export]
macro_rules! __service {
    (
        @methods $mode:ident $head:tt [ $($done:tt)* ]
        $(#[$meta:meta])* fn $method:ident(&self $(, $arg:ident : $ty:ty)* $(,)?) $(-> $ret:ty)?;
        $($rest:tt)*
    ) => {
        $crate::__service! {
            @methods $mode $head
            [ $($done)* { [ $(#[$meta])* ] $method [ &self ] [ $($arg : $ty),* ] [ $($ret)? ] } ]
            $($rest)*
        }
    };
    (
        @methods $mode:ident $head:tt [ $($done:tt)* ]
        $(#[$meta:meta])* fn $method:ident(&mut self $(, $arg:ident : $ty:ty)* $(,)?) $(-> $ret:ty)?;
        $($rest:tt)*
    ) => {
        $crate::__service! {
            @methods exclusive $head
            [ $($done)* { [ $(#[$meta])* ] $method [ &mut self ] [ $($arg : $ty),* ] [ $($ret)? ] } ]
            $($rest)*
        }
    };
    (
        @methods $mode:ident [ $(#[$meta:meta])* $vis:vis trait $name:ident ]
        [ $( {
            [ $(#[$mmeta:meta])* ] $method:ident [ $($receiver:tt)+ ] [ $($arg:ident : $ty:ty),* ] [ $($ret:ty)? ]
        } )+ ]
    ) => {
        $(#[$meta])*
        $vis trait $name {
            $( $(#[$mmeta])* fn $method($($receiver)+ $(, $arg: $ty)*) $(-> $ret)?; )+
        }

        // What stands in here has no name elsewhere.
        #[allow(
            missing_docs, missing_debug_implementations, non_camel_case_types, non_local_definitions, private_bounds,
            private_interfaces, unreachable_pub, clippy::all,
            reason = "the user's names and types, in forms that he does not see"
        )]
        const _: () = {
            $crate::message! {
                pub enum ServiceRequest { $( $method { $($arg : $ty),* } ),+ }
                pub enum ServiceReply { $( $method($crate::__service_return!($($ret)?)) ),+ }
            }

            impl ::core::fmt::Debug for ServiceRequest {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.write_str(::core::concat!("a call of ", ::core::stringify!($name)))
                }
            }

            impl ::core::fmt::Debug for ServiceReply {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.write_str(::core::concat!("a reply of ", ::core::stringify!($name)))
                }
            }

            pub struct ServiceCalls($crate::__private::Line<dyn $name>);

            impl ServiceCalls {
                $(
                    $(#[$mmeta])*
                    ///
                    /// # Errors
                    ///
                    /// `CallError`, as every call of a proxy.
                    pub fn $method(
                        &self $(, $arg: $ty)*
                    ) -> ::core::result::Result<$crate::__service_return!($($ret)?), $crate::CallError> {
                        match self.0.call(&ServiceRequest::$method { $($arg),* })? {
                            ServiceReply::$method(value) => ::core::result::Result::Ok(value),
                            #[allow(unreachable_patterns, reason = "a service of one method has one reply")]
                            _ => ::core::result::Result::Err($crate::__private::out_of_turn()),
                        }
                    }
                )+
            }

            impl ::core::convert::From<$crate::__private::Line<dyn $name>> for ServiceCalls {
                fn from(line: $crate::__private::Line<dyn $name>) -> Self {
                    ServiceCalls(line)
                }
            }

            impl ::core::convert::AsRef<$crate::__private::Line<dyn $name>> for ServiceCalls {
                fn as_ref(&self) -> &$crate::__private::Line<dyn $name> {
                    &self.0
                }
            }

            impl $crate::Service for dyn $name {
                type Object = dyn $name + ::core::marker::Send;
                type Calls = ServiceCalls;
                type Request = ServiceRequest;
                type Reply = ServiceReply;
                const NAME: &'static str = ::core::stringify!($name);

                fn run(object: &mut Self::Object, request: ServiceRequest) -> ServiceReply {
                    match request { $(
                        ServiceRequest::$method { $($arg),* } => ServiceReply::$method($name::$method(object $(, $arg)*)),
                    )+ }
                }
            }

            $crate::__service! { @$mode $name $( $method [ $($arg),* ] )+ }
        };
    };
    ( @exclusive $($rest:tt)* ) => {};
    ( @shared $name:ident $( $method:ident [ $($arg:ident),* ] )+ ) => {
        impl $crate::ConcurrentService for dyn $name {
            type Shared = dyn $name + ::core::marker::Send + ::core::marker::Sync;

            fn run_shared(object: &Self::Shared, request: ServiceRequest) -> ServiceReply {
                match request { $(
                    ServiceRequest::$method { $($arg),* } => ServiceReply::$method($name::$method(object $(, $arg)*)),
                )+ }
            }
        }
    };
    ( @methods $($other:tt)* ) => {
        ::core::compile_error! {
            "a service is a trait with at least one method, and each is declared as `fn name(&self, argument: Type) -> Type;`, \
             or with `&mut self`; no bodies, patterns, parameters or references"
        }
    };
}

/// What a method returns that says nothing of it.
#[doc(hidden)]
#[macro_export]
macro_rules! __service_return {
    () => {
        ()
    };
    ($ty:ty) => {
        $ty
    };
}
