//! The operator's Unix socket: mode 0600, and only callers of the user that runs this process.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::error::StartError;
use crate::keys::private_dir;

/// Removes its file when dropped.
pub(crate) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Who created the socket file, that is, who runs this process.
    uid: u32,
    /// Tells our file from one that another process has put in its place.
    inode: u64,
}

impl AdminSocket {
    pub(crate) fn create(path: PathBuf) -> Result<Self, StartError> {
        clear_stale(&path)?;
        let failed = |error| StartError::Admin { path: path.clone(), error };
        private_dir(path.parent().unwrap_or(Path::new(""))).map_err(failed)?;
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        let file = fs::metadata(&path).map_err(failed)?;
        Ok(Self { listener, uid: file.uid(), inode: file.ino(), path })
    }

    /// The next caller that is allowed in.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (caller, _) = self.listener.accept().await?;
            match caller.peer_cred() {
                // Root could take that user's place anyway; and a user that systemd makes up is nobody else's.
                Ok(cred) if [self.uid, 0].contains(&cred.uid()) => return Ok(caller),
                Ok(cred) => tracing::warn!("admin socket: refused a caller with user id {}", cred.uid()),
                Err(error) => tracing::debug!("admin socket: a caller left at once: {error}"),
            }
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if fs::metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A socket on which nobody answers is left over from a crash. Anything else at that path is not ours to remove.
fn clear_stale(path: &Path) -> Result<(), StartError> {
    let failed = |error| StartError::Admin { path: path.into(), error };
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => {
            return Err(failed(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file that is no socket",
            )));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    match StdStream::connect(path) {
        Ok(_) => Err(StartError::AdminInUse { path: path.into() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}
