/* store: SQLite behind one writer thread. Layer 5, shell. Opening, migration and reading run on the caller's thread;
 * writes are queued and committed in groups (FULL, at most 50 ms apart for durable things; registrations are written
 * behind in batches to a file of their own, at most 300 ms late). SIP never waits for it. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/log.h"
#include "pbx/cell.h"
#include "service/service.h"

struct store;

struct store_error {
	char text[512]; /* what, where, how to mend it */
	bool damaged;   /* the database cannot be read: store_recover may help */
};

/* dir: the site's state directory (strowger.db, registrations.db). key: the audit's chain hangs on it. NULL with err filled: read-only, full, damaged, of a
 * newer version (never touched). */
struct store *store_open(const char *dir, const struct site_key *key, struct log_sink *log, struct store_error *err);
/* The database is set aside and the newest good copy of the configuration put in its place (R32), with what can be read of the
 * damaged one's audit and a row (what "recover", entity "audit") that names the rows which cannot. False: there is none, nothing
 * was changed. The store must be closed. */
bool store_recover(const char *dir, const struct site_key *key, struct log_sink *log);
/* There is no database, though there was one: good copies of it exist. store_recover brings it back. */
bool store_was_lost(const char *dir);
/* Can the whole database file be read? */
bool store_file_is_sound(const char *path);
/* -1 with err filled: the database file is of a newer version of strowger. It is only read. */
int store_refuse_newer(const char *path, struct store_error *err);
/* For the command line. A row of the audit by another process than the daemon, which may be running. 0, or -1 with err filled. */
int store_audit_beside(const char *dir, const struct site_key *key, const struct audit_entry *e, struct store_error *err);
/* The databases of dir were put there from a backup, the daemon is not running: they become of this version, and get a row of the
 * audit. 0, or -1 with err filled. */
int store_restored(const char *dir, const struct site_key *key, const struct audit_entry *e, struct store_error *err);
/* From now on a good copy is made when changes have settled; at once, too, since all could be read. */
void store_keep_start(struct store *s);
/* One copy now, by the calling thread. 0 or -1 (errno). */
int store_keep_good(const char *dir);
/* Drains the queue, stops the writer. */
void store_close(struct store *s);

/* Reads the whole configuration into a snapshot; secrets are opened with key. */
int store_load_site(struct store *s, const struct site_key *key, struct site **out, struct store_error *err);
/* Calls back for each unexpired registration. */
int store_load_bindings(struct store *s, int64_t wall_ms, void (*each)(void *ctx, const struct binding_row *b), void *ctx);
/* Calls back for each unexpired subscription. */
int store_load_subscriptions(struct store *s, int64_t wall_ms, void (*each)(void *ctx, const struct subscription_row *r), void *ctx);
/* Calls back for each source that is blocked still. */
int store_load_bans(struct store *s, int64_t wall_ms, void (*each)(void *ctx, const struct ban_row *r), void *ctx);
/* Closes CDR rows left open by a crash (cause CDR_INTERRUPTED). Their end is the last second in which the switch was known to
 * live (wall_ms where that is not known), and not before what is in the row; talk_ms follows. Returns how many (R7 R15). */
int store_close_open_cdrs(struct store *s, int64_t wall_ms);

/* Writer's completions: called on the writer's thread. */
struct store_done {
	void *ctx;
	void (*cdr)(void *ctx, uint64_t token, bool ok); /* durable */
};
void store_on_done(struct store *s, const struct store_done *d);

/* Queues; never blocks; -1 when the queue is full (the caller keeps the row and tries again). */
int store_put_cdr(struct store *s, uint64_t token, const struct cdr_row *row);
int store_put_binding(struct store *s, const struct binding_row *b);
int store_drop_binding(struct store *s, const struct binding_row *b);
int store_put_subscription(struct store *s, const struct subscription_row *r);
int store_drop_subscription(struct store *s, const struct subscription_row *r); /* local_tag only */
int store_put_ban(struct store *s, const struct ban_row *r);
int store_drop_ban(struct store *s, const struct ban_row *r); /* source only */
/* Blocks until durable. Checks if_revision, writes the row and the audit row in one transaction, fills id and revision. */
enum change_result store_change(struct store *s, struct site_change *c, int64_t wall_ms, struct store_error *err);
/* A row of the audit without a change of the configuration. Blocks until durable. 0 or -1 with err filled. */
int store_audit_add(struct store *s, const struct audit_entry *e, struct store_error *err);
/* The audit, newest first, as JSON objects separated by commas. 0 or -1. */
int store_read_audit(struct store *s, const struct audit_query *q, char **json, size_t *n);
/* Walks the whole chain. 0, or -1: it could not be read to its end. */
int store_audit_verify(struct store *s, struct audit_verdict *v);
int store_read_cdrs(struct store *s, uint32_t limit, struct span extension, char **json, size_t *n);

struct store_stats { uint64_t cdr_written, bindings_written, commits, failures; uint32_t queued; };
struct store_stats store_stats_of(const struct store *s);

#endif
