//! A layer under SQLite (a VFS, <https://sqlite.org/vfs.html>) that hands everything on to the system's own, and keeps a log of
//! what changes files.
//!
//! It becomes the process's default, so that the store under test opens its file as it always does.
//!
//! **Why this is unsafe.** SQLite calls through C function pointers with raw pointers to structs that it allocates itself, of a size
//! that we tell it. What makes it sound: `Layer` is the head of that allocation, and the system's own file follows at
//! `BEHIND`, which is a multiple of what SQLite aligns to (8); a method of ours is only ever called with a file that
//! `x_open` of ours set up; and buffers are as long as SQLite says, as its contract has it.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rusqlite::ffi::{
    SQLITE_IOERR, SQLITE_OK, SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_WAL, sqlite3_file, sqlite3_int64,
    sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

/// Something that changed a file.
#[derive(Clone, Debug)]
pub struct Event {
    pub file: PathBuf,
    pub what: What,
    /// How often [`mark`] had been called.
    pub marks: usize,
}

#[derive(Clone, Debug)]
pub enum What {
    Write {
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate(usize),
    /// All that was written before is on the platter.
    Sync,
}

/// All that happens to the stores under a directory, from its making on. One at a time.
pub struct Recording {
    root: PathBuf,
    /// The files as they were when it began.
    pub before: BTreeMap<PathBuf, Vec<u8>>,
}

static LOG: Mutex<Log> = Mutex::new(Log { root: None, events: Vec::new(), marks: 0 });

struct Log {
    root: Option<PathBuf>,
    events: Vec<Event>,
    marks: usize,
}

impl Recording {
    /// Before any store is opened: only what is opened afterwards can be recorded.
    pub fn prepare() {
        static ONCE: Once = Once::new();
        ONCE.call_once(install);
    }

    /// Of stores that are open already.
    pub fn begin(root: &Path) -> std::io::Result<Self> {
        let mut log = log();
        assert!(log.root.is_none(), "one recording at a time");
        // No write is under way: each holds the log.
        let mut before = BTreeMap::new();
        gather(root, &mut before)?;
        (log.root, log.events, log.marks) = (Some(root.into()), Vec::new(), 0);
        Ok(Self { root: root.into(), before })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn end(self) -> Vec<Event> {
        let mut log = log();
        log.root = None;
        std::mem::take(&mut log.events)
    }
}

/// Something was said that rests on what is durable by now.
pub fn mark() {
    log().marks += 1;
}

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every database and write-ahead log under a directory.
fn gather(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else if path.to_string_lossy().ends_with(".sqlite") || path.to_string_lossy().ends_with("-wal") {
            files.insert(path.clone(), std::fs::read(&path)?);
        }
    }
    Ok(())
}

impl Log {
    fn note(&mut self, file: &str, what: What) {
        let Some(root) = &self.root else { return };
        let file = PathBuf::from(file);
        if file.starts_with(root) {
            self.events.push(Event { file, what, marks: self.marks });
        }
    }
}

/// A file of ours: the system's own is behind it.
#[repr(C)]
struct Layer {
    /// First, as SQLite expects it.
    base: sqlite3_file,
    /// Its path, if it is one whose changes are kept: a database or its write-ahead log. Made by `Box::into_raw`.
    path: *mut String,
}

const BEHIND: usize = size_of::<Layer>().next_multiple_of(16);

fn install() {
    // SAFETY: the system's own VFS lives as long as the process. The copy of it is leaked, since SQLite keeps the pointer.
    unsafe {
        let system = sqlite3_vfs_find(std::ptr::null());
        assert!(!system.is_null(), "SQLite has a VFS on every system that we know");
        let own = Box::leak(Box::new(sqlite3_vfs {
            szOsFile: BEHIND as c_int + (*system).szOsFile,
            pNext: std::ptr::null_mut(),
            zName: c"labman-power".as_ptr(),
            xOpen: Some(x_open),
            ..*system
        }));
        // The system's functions find what they need by this.
        assert_eq!(own.pAppData, (*system).pAppData);
        SYSTEM.get_or_init(|| System(system));
        assert_eq!(sqlite3_vfs_register(own, 1), SQLITE_OK);
    }
}

static SYSTEM: std::sync::OnceLock<System> = std::sync::OnceLock::new();

struct System(*mut sqlite3_vfs);

// SAFETY: SQLite itself calls a VFS from every thread.
unsafe impl Send for System {}
// SAFETY: likewise.
unsafe impl Sync for System {}

unsafe extern "C" fn x_open(
    _vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let Some(System(system)) = SYSTEM.get() else { return SQLITE_IOERR };
    // SAFETY: `file` has room for a `Layer` and the system's own file: we said so in `szOsFile`. `name` is a C string or null.
    unsafe {
        let layer = file.cast::<Layer>();
        (*layer).base.pMethods = std::ptr::null();
        (*layer).path = std::ptr::null_mut();
        let Some(open) = (**system).xOpen else { return SQLITE_IOERR };
        let code = open(*system, name, real(file), flags, out_flags);
        if code == SQLITE_OK {
            if flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL) != 0 && !name.is_null() {
                let path = CStr::from_ptr(name).to_string_lossy().into_owned();
                (*layer).path = Box::into_raw(Box::new(path));
            }
            (*layer).base.pMethods = &METHODS;
        }
        code
    }
}

/// The system's own file.
///
/// # Safety
///
/// `file` is one that SQLite allocated for us.
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: it follows in the same allocation.
    unsafe { file.cast::<u8>().add(BEHIND).cast() }
}

/// Does what a method of the system's own file does; logs it while nothing else is logged, if it worked.
///
/// # Safety
///
/// `file` is one that `x_open` has opened.
unsafe fn logged(file: *mut sqlite3_file, what: impl FnOnce() -> What, act: impl FnOnce() -> c_int) -> c_int {
    // SAFETY: see above; `path` is null or from a box that lives until `x_close`.
    unsafe {
        let path = (*file.cast::<Layer>()).path;
        let mut log = log();
        let code = act();
        if code == SQLITE_OK && !path.is_null() {
            log.note(&*path, what());
        }
        code
    }
}

/// One method of ours that only hands on.
macro_rules! hand_on {
    ($name:ident, $method:ident, ($($argument:ident: $kind:ty),*)) => {
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $kind)*) -> c_int {
            // SAFETY: `file` was opened by `x_open`, so that the system's own has methods.
            unsafe {
                match (*(*real(file)).pMethods).$method {
                    Some(method) => method(real(file) $(, $argument)*),
                    None => SQLITE_IOERR,
                }
            }
        }
    };
}

hand_on!(x_read, xRead, (buffer: *mut c_void, len: c_int, at: sqlite3_int64));
hand_on!(write, xWrite, (buffer: *const c_void, len: c_int, at: sqlite3_int64));
hand_on!(truncate, xTruncate, (len: sqlite3_int64));
hand_on!(sync, xSync, (flags: c_int));
hand_on!(close, xClose, ());
hand_on!(x_file_size, xFileSize, (len: *mut sqlite3_int64));
hand_on!(x_lock, xLock, (level: c_int));
hand_on!(x_unlock, xUnlock, (level: c_int));
hand_on!(x_check_reserved_lock, xCheckReservedLock, (out: *mut c_int));
hand_on!(x_file_control, xFileControl, (op: c_int, argument: *mut c_void));
hand_on!(x_sector_size, xSectorSize, ());
hand_on!(x_device_characteristics, xDeviceCharacteristics, ());
hand_on!(x_shm_map, xShmMap, (page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void));
hand_on!(x_shm_lock, xShmLock, (at: c_int, count: c_int, flags: c_int));
hand_on!(x_shm_unmap, xShmUnmap, (delete: c_int));
hand_on!(x_fetch, xFetch, (at: sqlite3_int64, len: c_int, out: *mut *mut c_void));
hand_on!(x_unfetch, xUnfetch, (at: sqlite3_int64, page: *mut c_void));

unsafe extern "C" fn x_shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: as in `hand_on`.
    unsafe {
        if let Some(barrier) = (*(*real(file)).pMethods).xShmBarrier {
            barrier(real(file));
        }
    }
}

unsafe extern "C" fn x_write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    len: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives us `len` bytes.
    let bytes = || unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), len as usize).to_vec() };
    let what = || What::Write { at: at as usize, bytes: bytes() };
    // SAFETY: `file` was opened by `x_open`.
    unsafe { logged(file, what, || write(file, buffer, len, at)) }
}

unsafe extern "C" fn x_truncate(file: *mut sqlite3_file, len: sqlite3_int64) -> c_int {
    // SAFETY: `file` was opened by `x_open`.
    unsafe { logged(file, || What::Truncate(len as usize), || truncate(file, len)) }
}

unsafe extern "C" fn x_sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: `file` was opened by `x_open`.
    unsafe { logged(file, || What::Sync, || sync(file, flags)) }
}

unsafe extern "C" fn x_close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: `file` was opened by `x_open`, and is closed once: what it holds is freed here.
    unsafe {
        let layer = file.cast::<Layer>();
        if !(*layer).path.is_null() {
            drop(Box::from_raw((*layer).path));
            (*layer).path = std::ptr::null_mut();
        }
        close(file)
    }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xLock: Some(x_lock),
    xUnlock: Some(x_unlock),
    xCheckReservedLock: Some(x_check_reserved_lock),
    xFileControl: Some(x_file_control),
    xSectorSize: Some(x_sector_size),
    xDeviceCharacteristics: Some(x_device_characteristics),
    xShmMap: Some(x_shm_map),
    xShmLock: Some(x_shm_lock),
    xShmBarrier: Some(x_shm_barrier),
    xShmUnmap: Some(x_shm_unmap),
    xFetch: Some(x_fetch),
    xUnfetch: Some(x_unfetch),
};
