/* io/log_out: where log lines go: standard error, a file that rotates, the journal. Layer 1, shell. Any thread; a sink lives
 * as long as the process writes. Each is a `struct log_sink` that writes whatever it is given. */
#ifndef IO_LOG_OUT_H
#define IO_LOG_OUT_H

#include "base/log.h"

enum { LOG_LINE_MAX = 4096, LOG_FILES_KEPT = 4 };

/* "2026-07-01T10:00:00.123Z level=... event=... key=value" and a newline, for any writer of lines. Returns its bytes; fields that
 * do not fit are left out from the end. */
size_t log_line(char *line, size_t cap, enum log_level level, const char *event, const struct log_field *f, size_t n);

struct log_sink *log_to_stderr(void);

/* For a thread that has turns and much to say: from now on its lines to standard error or a file are gathered, at most LOG_HELD_MAX
 * bytes, and leave in one write at log_release; a warning or an error takes them with it at once. Without memory nothing changes. */
enum { LOG_HELD_MAX = 32768 };
void log_hold(void);
void log_release(void);
void log_hold_end(void); /* releases; before the thread ends */

/* Appends to path; beyond max_bytes (0: never) it becomes path.1 (path.1 becomes path.2, up to LOG_FILES_KEPT) and a new one
 * begins. NULL: errno. While a write fails (disk full) lines are dropped and counted. */
struct log_sink *log_to_file(const char *path, uint64_t max_bytes) __attribute__((warn_unused_result));
/* Opens path anew: somebody has moved the file away (SIGHUP, logrotate). -1: errno; the old file stays in use. */
int log_file_reopen(struct log_sink *file);
uint64_t log_file_dropped(const struct log_sink *file);
void log_file_close(struct log_sink *file);

/* The journal's own protocol on its socket (systemd, "Native Journal Protocol"): MESSAGE, PRIORITY, SYSLOG_IDENTIFIER,
 * STROWGER_EVENT, and each field under its key in capitals (CALL, LEG, ...). NULL path: /run/systemd/journal/socket.
 * NULL: errno. Never blocks: what the journal does not take is dropped. */
struct log_sink *log_to_journal(const char *path) __attribute__((warn_unused_result));
/* Is standard error connected to the journal (JOURNAL_STREAM, systemd.exec(5))? `stream`: the variable's value or NULL. */
bool log_stderr_is_journal(const char *stream);

#endif
