/* strowgerd, inside: what its parts share. Layer 6, shell.
 *
 * Threads: main (starts, waits for a signal, drains), cell (SIP over UDP, the cell, all that it decides), sip-tcp and sip-tls (framing, handshakes),
 * media workers (RTP), HTTP pool (provisioning, API), control pool (Unix socket), the store's writer. They meet in three
 * rings to the cell (from TCP, from TLS, from media, from all others), one each to TCP and TLS, and in the published snapshot of the site. */
#ifndef APP_STROWGERD_H
#define APP_STROWGERD_H

#include "app/listen_ports.h"
#include "app/strowgerd_hep.h"
#include "app/strowgerd_log.h"
#include "app/strowgerd_metrics.h"
#include "app/strowgerd_trace.h"
#include "base/map.h"
#include "edge/http.h"
#include "edge/sip_tcp.h"
#include "edge/sip_udp.h"
#include "io/ring.h"
#include "media/media.h"
#include "pbx/cell.h"
#include "service/service.h"
#include "store/store.h"

#include <limits.h>
#include <pthread.h>

enum { EXIT_CLEAN = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_RUNNING = 3 };

/* ---- options (strowgerd_options.c) ---- */

enum { MAX_LISTEN = 4, MAX_WORKERS_OPT = 64, MAX_PAIRS_OPT = 6000 };

struct daemon_opts {
	const char *site;
	uint16_t port_base; /* 0: the standard ports */
	struct daemon_ports wishes; /* single ports that go before these */
	struct addr listen[MAX_LISTEN]; /* ports unused */
	unsigned n_listen;
	unsigned workers;
	unsigned pairs; /* of RTP ports, for the whole site */
	const char *record;
	struct logs_opts log;
	const char *user; /* NULL: stay who we are */
	bool no_seccomp;
};
/* -1: go on; else the exit code. */
int options_read(struct daemon_opts *o, int argc, char **argv);
struct daemon_ports ports_of(const struct daemon_opts *o);

/* ---- the log: strowgerd_log.h ---- */

/* What stands in the way, in words: to stderr as it is. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- the site's folder (strowgerd_dir.c) ---- */

struct site_dir {
	char path[PATH_MAX - 64];
	int lock_fd;
	struct site_key key;
	char token[65];
	char token_path[PATH_MAX], control_path[PATH_MAX];
};
/* 0, or an exit code; what is wrong has been said. */
int site_dir_open(struct site_dir *d, const char *path);
void site_dir_close(struct site_dir *d);

/* ---- certificates (strowgerd_cert.c): may block; main thread ---- */

struct site_certs {
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX], legacy_cert[PATH_MAX], legacy_key[PATH_MAX]; /* PEM files */
};
/* Makes what is missing or has run out. 0, or an exit code; what is wrong has been said. */
int certs_ready(struct site_certs *c, const struct site_dir *d, const struct daemon_opts *o, const char *identity, struct log_sink *log);
/* NULL: what is wrong has been said. */
struct tls_ctx *certs_context(const struct site_certs *c, const struct site_dir *d, enum tls_policy policy);

/* ---- the cell's thread (strowgerd_cell.c) ---- */

struct cell_msg { /* from any thread */
	enum { MSG_SITE, MSG_QUERY, MSG_PERSISTED } kind;
	struct site *site; /* MSG_SITE: one reference */
	uint64_t token, cursor;
	enum cell_query_kind query;
	uint32_t limit;
	uint8_t arg_n;
	bool ok;
	char arg[128];
};

struct cell_host;
struct recorder;

struct cell_host_opts {
	struct cell_opts cell;
	struct log_sink *log;
	struct store *store;
	struct recorder *recorder; /* may be NULL */
	struct trace *trace;       /* may be NULL */
	struct metrics *metrics;   /* may be NULL */
	struct hep_sender *hep;    /* may be NULL */
	void (*answer)(void *ctx, uint64_t token, uint16_t status, struct span json, uint64_t next_cursor);
	void *ctx;
};
/* Made and filled on the main thread; runs on its own from cell_host_start to cell_host_stop. */
struct cell_host *cell_host_new(const struct cell_host_opts *o);
struct sip_udp *cell_host_udp(struct cell_host *h);
struct waker *cell_host_waker(struct cell_host *h);
void cell_host_media(struct cell_host *h, struct media *m); /* before start */
void cell_host_tcp(struct cell_host *h, struct sip_tcp *tcp, struct sip_tcp *tls); /* before start; tls may be NULL */
int cell_host_media_ring(struct cell_host *h, size_t slots); /* before the workers run */
void cell_host_on_media(void *host, const struct media_event *e); /* media_opts.on_event */
/* Before start, on the main thread: an input at once. */
void cell_host_feed(struct cell_host *h, const struct cell_in *in);
int cell_host_start(struct cell_host *h);
/* Any thread. Waits a little while the ring is full; false: it stayed full, or the cell has ended. */
bool cell_host_post(struct cell_host *h, const struct cell_msg *m);
/* Registrations, subscriptions and bans of the life before; before cell_host_start. */
void restore_live(struct store *s, struct cell_host *host, uint32_t listeners, struct log_sink *log);
void cell_host_persisted(struct cell_host *h, uint64_t token, bool ok); /* waits until the cell has room for it, or ends */
/* Any thread; as of the last turn: the cell's and UDP's counts. */
void cell_host_view(struct cell_host *h, struct metrics_view *v);
/* When the cell's thread last began a turn or found nothing to do (mono_us); it does at least every WAKE_MAX_US. */
int64_t cell_host_alive_us(struct cell_host *h);
/* Any thread; as of the last turn. */
struct cell_counts cell_host_counts(struct cell_host *h);
void cell_host_stop(struct cell_host *h); /* joins; nothing runs after it */
void cell_host_free(struct cell_host *h);

/* ---- recording (strowgerd_record.c): the cell's thread only ---- */

struct recorder *recorder_open(const char *path); /* NULL: errno */
void recorder_begin(struct recorder *r, const struct cell_opts *o, int64_t now_us);
void recorder_input(struct recorder *r, const struct cell_in *in, int64_t now_us);
void recorder_effect(struct recorder *r, const struct cell_out *out);
void recorder_close(struct recorder *r);

/* ---- questions to the cell (strowgerd_ask.c) ---- */

struct ask_desk;
struct ask_desk *ask_new(void);
void ask_free(struct ask_desk *d);
int ask(struct ask_desk *d, struct cell_host *h, enum cell_query_kind kind, uint64_t cursor, uint32_t limit, struct span arg,
	char **json, size_t *n, uint64_t *next_cursor);
void ask_answered(void *desk, uint64_t token, uint16_t status, struct span json, uint64_t next_cursor);

/* ---- what the service sees of the world (strowgerd_ports.c, strowgerd_uploads.c) ---- */

struct world {
	struct logs *logs;
	struct log_sink *log;
	struct site_dir *dir;
	struct store *store;
	struct cell_host *host;
	struct ask_desk *desk;
	pthread_mutex_t site_mu; /* the pointer only */
	struct site *site;
	pthread_mutex_t change_mu; /* one change at a time, from the store to the cell */
	pthread_mutex_t upload_mu;
	uint64_t upload_bytes; /* of all phones; counted at start */
};
void world_init(struct world *w);
void world_free(struct world *w);
struct service_ports world_ports(struct world *w);
void uploads_count(struct world *w);
int uploads_keep(void *world, struct span mac12, struct span name, struct span body);

struct site *world_site(struct world *w); /* the newest snapshot; the caller unrefs it */

/* ---- /metrics (strowgerd_metrics_http.c) ---- */

struct metrics_server { /* all borrowed */
	struct metrics *metrics;
	struct cell_host *host;
	struct sip_tcp *tcp, *tls;
	struct media *media;
	struct store *store;
	struct world *world;
	struct logs *logs;
	struct hep_sender *hep;
	uint32_t media_slots, max_streams;
};
struct http_server *metrics_serve(struct metrics_server *s, int listen_fd); /* NULL: listen_fd is still the caller's */

/* ---- start, run, drain (strowgerd_wiring.c) ---- */

struct strowgerd;
/* 0, or an exit code; what is wrong has been said. */
int strowgerd_start(struct strowgerd **out, const struct daemon_opts *o);
void strowgerd_reopen_log(const struct strowgerd *d);
int64_t strowgerd_alive_us(const struct strowgerd *d); /* when the cell's thread last turned */

/* Root becomes the user that --user names, before anything else is done (strowgerd_user.c). 0 or an exit code. */
int become_user(const struct daemon_opts *o);
/* Prints the READY line. */
void strowgerd_ready(const struct strowgerd *d);
/* Certificates are read anew, and made anew where the site's names changed or the end is near; connections that are there keep
 * theirs. What is wrong is logged, and all stays as it was. The listener for old phones follows at the next start. */
void strowgerd_reload(struct strowgerd *d);
void strowgerd_drain(struct strowgerd *d);
void strowgerd_free(struct strowgerd *d);

#endif
