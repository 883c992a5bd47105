/* io/file: small files as a whole. Layer 1, shell. May block: not on the cell's thread. All return 0 or -1 with errno. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/span.h"

/* Reads at most max bytes; more is an error (EFBIG). *out is malloc'd, NUL-ended (not counted), the caller frees. */
int file_read(const char *path, size_t max, char **out, size_t *n) __attribute__((warn_unused_result));
/* Writes beside and renames over path, mode 0600. durable: the file and its folder are synced before it returns. */
int file_write(const char *path, struct span bytes, bool durable) __attribute__((warn_unused_result));
/* What was renamed, made or removed in this folder is so after a power cut. */
int file_sync_folder(const char *path) __attribute__((warn_unused_result));
/* Makes a folder (mode 0700) that outlives a power cut, unless it is there. ENOTDIR when something else is. */
int file_mkdir(const char *path) __attribute__((warn_unused_result));
/* Takes the lock of this file (made with 0600) until the descriptor is closed or the process ends. Returns the
 * descriptor; -1 with errno EWOULDBLOCK when another process holds it. */
int file_lock(const char *path) __attribute__((warn_unused_result));

#endif
