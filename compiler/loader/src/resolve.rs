//! Where the undefined symbols of a compiled model are found.

/// C functions that compiled models may refer to.
const C_FUNCTIONS: &[(&str, *const ())] = &[
    ("memcpy", libc::memcpy as *const ()),
    ("memmove", libc::memmove as *const ()),
    ("memset", libc::memset as *const ()),
    ("memcmp", libc::memcmp as *const ()),
    ("malloc", libc::malloc as *const ()),
    ("free", libc::free as *const ()),
    #[cfg(all(target_arch = "aarch64", any(target_os = "linux", target_os = "android")))]
    ("getauxval", libc::getauxval as *const ()),
    #[cfg(all(target_arch = "aarch64", target_vendor = "apple"))]
    ("sysctlbyname", libc::sysctlbyname as *const ()),
    ("kiln_profile_mark", crate::profile::mark as *const ()),
];

/// The address of a symbol that the runtime or the C library has.
pub(crate) fn resolve(name: &str) -> Option<usize> {
    let runtime = || kiln_rt::SYMBOLS.iter().find(|s| s.name == name).map(|s| s.address);
    let c = || C_FUNCTIONS.iter().find(|(n, _)| *n == name).map(|(_, address)| *address);
    runtime().or_else(c).map(|address| address as usize)
}
