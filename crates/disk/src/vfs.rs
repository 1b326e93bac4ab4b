//! The tables of functions through which SQLite reaches a disk, in front of the system's own.
//!
//! # Why this is sound
//!
//! SQLite allocates `szOsFile` bytes for each file and hands them to `xOpen`; here they are a [`File`]
//! followed by what the system's own way needs for its file. All functions get a pointer to such a file that
//! `open` has filled, until `close`; SQLite calls none of them for a file that was not opened, and, for one
//! file, one at a time. The tables and names are leaked, so they live as long as SQLite knows them.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr;

use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};

use crate::{Disk, Event, Fault};

/// Calls a function of the system's own file.
macro_rules! passed_on {
    ($file:ident, $function:ident($($argument:expr),*)) => {{
        let system = system_file($file);
        let function = (*(*system).pMethods).$function.expect("the system's file does that");
        function(system, $($argument),*)
    }};
}

/// A file: ours first, as SQLite demands, and the system's behind it in the same memory.
#[repr(C)]
struct File {
    base: sqlite3_file,
    /// Taken out by `close`.
    watched: ManuallyDrop<Watched>,
}

/// What is known of an open file.
struct Watched {
    disk: Disk,
    /// The end of its name; `None` for files that only live as long as they are open.
    name: Option<String>,
}

/// What stands behind `pAppData`.
struct Below {
    disk: Disk,
    system: *mut sqlite3_vfs,
}

pub(super) fn register(name: &str, disk: Disk) {
    // SAFETY: asking for the default way, which SQLite always has and never takes away.
    let system = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    assert!(!system.is_null(), "SQLite has a way to the disk");
    // SAFETY: the pointer was just given to us and stays valid; the struct is plain data.
    let mut ours = unsafe { ptr::read(system) };
    let name = CString::new(name).expect("a name without a zero");
    ours.szOsFile += size_of::<File>() as c_int;
    ours.zName = name.into_raw();
    ours.pNext = ptr::null_mut();
    ours.pAppData = Box::into_raw(Box::new(Below { disk, system })).cast();
    ours.xOpen = Some(open);
    ours.xDelete = Some(delete);
    // SAFETY: the struct and what it points to are leaked, so they outlive SQLite's use of them.
    let taken = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 0) };
    assert_eq!(taken, ffi::SQLITE_OK);
}

/// # Safety
///
/// `vfs` is the one that was registered.
unsafe fn below<'a>(vfs: *mut sqlite3_vfs) -> &'a Below {
    // SAFETY: `register` has put a leaked `Below` there.
    unsafe { &*(*vfs).pAppData.cast::<Below>() }
}

/// # Safety
///
/// `file` is one that `open` has filled or is filling.
unsafe fn system_file(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: SQLite has allocated `szOsFile` bytes, of which ours are the first.
    unsafe { file.cast::<u8>().add(size_of::<File>()).cast() }
}

/// # Safety
///
/// `file` is open.
unsafe fn watched<'a>(file: *mut sqlite3_file) -> &'a Watched {
    // SAFETY: `open` has filled it, and `close` comes last.
    unsafe { &(*file.cast::<File>()).watched }
}

/// The last part of a path.
///
/// # Safety
///
/// `path` is null or a text that ends with a zero.
unsafe fn file_name(path: *const c_char) -> Option<String> {
    if path.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy();
    path.rsplit('/').next().map(str::to_owned)
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    path: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives the vfs that was registered, room for a file, and a path that ends with a zero.
    unsafe {
        (*file).pMethods = ptr::null();
        let below = below(vfs);
        let system = system_file(file);
        (*system).pMethods = ptr::null();
        let open = (*below.system).xOpen.expect("every way to a disk opens files");
        let result = open(below.system, path, system, flags, out_flags);
        if result == ffi::SQLITE_OK {
            let watched = Watched { disk: below.disk.clone(), name: file_name(path) };
            let base = sqlite3_file { pMethods: &raw const METHODS };
            ptr::write(file.cast::<File>(), File { base, watched: ManuallyDrop::new(watched) });
        }
        result
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, path: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite gives the vfs that was registered and a path that ends with a zero.
    unsafe {
        let below = below(vfs);
        let delete = (*below.system).xDelete.expect("every way to a disk deletes files");
        let result = delete(below.system, path, sync);
        if let (ffi::SQLITE_OK, Some(file)) = (result, file_name(path)) {
            below.disk.record(Event::Delete { file });
        }
        result
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: the file is open and not used any more.
    unsafe {
        let result = passed_on!(file, xClose());
        ManuallyDrop::drop(&mut (*file.cast::<File>()).watched);
        result
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    at: i64,
) -> c_int {
    // SAFETY: the file is open, and SQLite gives as many bytes as it says.
    unsafe {
        let watched = watched(file);
        match watched.disk.fails_to_write() {
            Some(Fault::Full) => return ffi::SQLITE_FULL,
            Some(_) => return ffi::SQLITE_IOERR_WRITE,
            None => {}
        }
        if let Some(name) = &watched.name {
            let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize).to_vec();
            watched.disk.record(Event::Write { file: name.clone(), at: at as u64, bytes });
        }
        passed_on!(file, xWrite(bytes, count, at))
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: i64) -> c_int {
    // SAFETY: the file is open.
    unsafe {
        let watched = watched(file);
        if let Some(name) = &watched.name {
            watched.disk.record(Event::Truncate { file: name.clone(), length: length as u64 });
        }
        passed_on!(file, xTruncate(length))
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe {
        let watched = watched(file);
        let name = watched.name.clone();
        if watched.disk.fails_to_sync() {
            if let Some(file) = name {
                watched.disk.record(Event::SyncFailed { file });
            }
            return ffi::SQLITE_IOERR_FSYNC;
        }
        let result = passed_on!(file, xSync(flags));
        if let (ffi::SQLITE_OK, Some(file)) = (result, name) {
            watched.disk.record(Event::Sync { file });
        }
        result
    }
}

/// A function that only hands its arguments on.
macro_rules! hand_on {
    ($($name:ident = $function:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $kind),*) -> $result {
            // SAFETY: the file is open, and the arguments are SQLite's.
            unsafe { passed_on!(file, $function($($argument),*)) }
        }
    )*};
}

hand_on! {
    read = xRead(into: *mut c_void, count: c_int, at: i64) -> c_int;
    file_size = xFileSize(size: *mut i64) -> c_int;
    lock = xLock(level: c_int) -> c_int;
    unlock = xUnlock(level: c_int) -> c_int;
    check_reserved_lock = xCheckReservedLock(result: *mut c_int) -> c_int;
    file_control = xFileControl(operation: c_int, argument: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    device_characteristics = xDeviceCharacteristics() -> c_int;
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, at: *mut *mut c_void) -> c_int;
    shm_lock = xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    shm_barrier = xShmBarrier() -> ();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int;
}

/// Version 2: with shared memory, and without mapped files, whose writes would not be seen.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
