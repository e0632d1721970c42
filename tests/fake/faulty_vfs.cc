// SQLite's calls on files, counted and failed by a FaultyDisk. See https://www.sqlite.org/vfs.html.
#include "tests/fake/faulty_disk.h"

#include <cerrno>
#include <cstring>
#include <string>

#include <sqlite3.h>
#include <unistd.h>

namespace shoal::test {
namespace {

struct File {
  sqlite3_file base;
  FaultyDisk* disk;
  std::string* path;    // empty: a temporary file
  sqlite3_file* below;  // behind this object, in the same block
};

File* of(sqlite3_file* file) {
  return reinterpret_cast<File*>(file);  // NOLINT: SQLite's own way of deriving
}

FaultyDisk* disk_of(sqlite3_vfs* vfs) {
  return static_cast<FaultyDisk*>(vfs->pAppData);
}

sqlite3_vfs* usual() {
  static sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr);
  return vfs;
}

int code(int err, int io_code) {
  return err == ENOSPC ? SQLITE_FULL : io_code;
}

int do_close(sqlite3_file* f) {
  File* file = of(f);
  const int rc = file->below->pMethods != nullptr ? file->below->pMethods->xClose(file->below) : SQLITE_OK;
  delete file->path;
  file->path = nullptr;
  return rc;
}

int do_read(sqlite3_file* f, void* out, int size, sqlite3_int64 offset) {
  if (of(f)->disk->before("sqlite read", *of(f)->path) != 0) return SQLITE_IOERR_READ;
  return of(f)->below->pMethods->xRead(of(f)->below, out, size, offset);
}

int do_write(sqlite3_file* f, const void* bytes, int size, sqlite3_int64 offset) {
  File* file = of(f);
  const int err = file->disk->before("sqlite write", *file->path);
  if (err != 0 && !file->disk->half_written()) return code(err, SQLITE_IOERR_WRITE);
  file->disk->note_bytes(*file->path, static_cast<std::uint64_t>(offset), static_cast<std::size_t>(size));
  const int rc = file->below->pMethods->xWrite(file->below, bytes, err != 0 ? size / 2 : size, offset);
  return err != 0 ? code(err, SQLITE_IOERR_WRITE) : rc;
}

int do_truncate(sqlite3_file* f, sqlite3_int64 size) {
  File* file = of(f);
  if (const int err = file->disk->before("sqlite truncate", *file->path))
    return code(err, SQLITE_IOERR_TRUNCATE);
  file->disk->note_bytes(*file->path, static_cast<std::uint64_t>(size), SIZE_MAX);
  return file->below->pMethods->xTruncate(file->below, size);
}

int do_sync(sqlite3_file* f, int flags) {
  File* file = of(f);
  if (const int err = file->disk->before("sqlite sync", *file->path)) return code(err, SQLITE_IOERR_FSYNC);
  const int rc = file->below->pMethods->xSync(file->below, flags);
  // The first flush of a file that SQLite made also flushes the folder.
  if (rc == SQLITE_OK) file->disk->flushed_file(*file->path, true);
  return rc;
}

int do_file_size(sqlite3_file* f, sqlite3_int64* size) {
  if (of(f)->disk->before("sqlite size", *of(f)->path) != 0) return SQLITE_IOERR_FSTAT;
  return of(f)->below->pMethods->xFileSize(of(f)->below, size);
}

// Locks and shared memory are the machine's, not the disk's: they end with the process.
int do_lock(sqlite3_file* f, int level) {
  return of(f)->below->pMethods->xLock(of(f)->below, level);
}
int do_unlock(sqlite3_file* f, int level) {
  return of(f)->below->pMethods->xUnlock(of(f)->below, level);
}
int do_check_lock(sqlite3_file* f, int* out) {
  return of(f)->below->pMethods->xCheckReservedLock(of(f)->below, out);
}
int do_control(sqlite3_file* f, int op, void* arg) {
  return of(f)->below->pMethods->xFileControl(of(f)->below, op, arg);
}
int do_sector_size(sqlite3_file* f) {
  return of(f)->below->pMethods->xSectorSize(of(f)->below);
}
int do_traits(sqlite3_file* f) {
  return of(f)->below->pMethods->xDeviceCharacteristics(of(f)->below);
}
int do_shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return of(f)->below->pMethods->xShmMap(of(f)->below, page, size, extend, out);
}
int do_shm_lock(sqlite3_file* f, int offset, int n, int flags) {
  return of(f)->below->pMethods->xShmLock(of(f)->below, offset, n, flags);
}
void do_shm_barrier(sqlite3_file* f) {
  of(f)->below->pMethods->xShmBarrier(of(f)->below);
}
int do_shm_unmap(sqlite3_file* f, int remove) {
  return of(f)->below->pMethods->xShmUnmap(of(f)->below, remove);
}

// Version 2: with shared memory, without memory-mapped reads, which nobody could count.
constexpr sqlite3_io_methods kMethods = {
    2,           do_close,       do_read,       do_write,   do_truncate,    do_sync,   do_file_size,
    do_lock,     do_unlock,      do_check_lock, do_control, do_sector_size, do_traits, do_shm_map,
    do_shm_lock, do_shm_barrier, do_shm_unmap,  nullptr,    nullptr};

int do_open(sqlite3_vfs* vfs, const char* name, sqlite3_file* f, int flags, int* out_flags) {
  File* file = of(f);
  file->base.pMethods = nullptr;
  FaultyDisk* disk = disk_of(vfs);
  const std::string path = name != nullptr ? name : "";
  if (disk->before("sqlite open", path) != 0) return SQLITE_CANTOPEN;
  const bool there = name != nullptr && ::access(name, F_OK) == 0;
  file->disk = disk;
  file->path = new std::string(path);
  file->below = reinterpret_cast<sqlite3_file*>(file + 1);  // NOLINT
  file->below->pMethods = nullptr;
  const int rc = usual()->xOpen(usual(), name, file->below, flags, out_flags);
  if (rc != SQLITE_OK) {
    delete file->path;
    file->path = nullptr;
    return rc;
  }
  if (!there && name != nullptr) disk->note_new_file(path);
  file->base.pMethods = &kMethods;
  return rc;
}

int do_delete(sqlite3_vfs* vfs, const char* name, int sync_dir) {
  if (disk_of(vfs)->before("sqlite delete", name) != 0) return SQLITE_IOERR_DELETE;
  disk_of(vfs)->note_unlink(name);
  return usual()->xDelete(usual(), name, sync_dir);
}

int do_access(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
  if (disk_of(vfs)->before("sqlite access", name) != 0) return SQLITE_IOERR_ACCESS;
  return usual()->xAccess(usual(), name, flags, out);
}

}  // namespace

sqlite3_vfs* register_faulty_vfs(const char* name, FaultyDisk& disk) {
  auto* vfs = new sqlite3_vfs(*usual());
  vfs->pNext = nullptr;
  vfs->zName = name;
  vfs->pAppData = &disk;
  vfs->szOsFile = static_cast<int>(sizeof(File)) + usual()->szOsFile;
  vfs->xOpen = do_open;
  vfs->xDelete = do_delete;
  vfs->xAccess = do_access;
  sqlite3_vfs_register(vfs, 0);
  return vfs;
}

void unregister_faulty_vfs(sqlite3_vfs* vfs) {
  sqlite3_vfs_unregister(vfs);
  delete vfs;
}

}  // namespace shoal::test
