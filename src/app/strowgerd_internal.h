/* app/strowgerd_internal: the daemon as its wiring sees it; strowgerd_wiring.c and strowgerd_listen.c alone include it. Layer 6, shell. */
#ifndef APP_STROWGERD_INTERNAL_H
#define APP_STROWGERD_INTERNAL_H

#include "app/strowgerd.h"

struct strowgerd {
	struct daemon_opts o;
	struct daemon_ports ports;
	struct logs *logs;
	struct log_sink *log;
	struct trace *trace;
	struct metrics *metrics;
	struct hep_sender *hep;
	struct metrics_server metrics_server;
	struct http_server *metrics_http;
	struct site_dir dir;
	struct world world;
	struct store *store;
	struct recorder *recorder;
	struct cell_host *host;
	struct ask_desk *desk;
	struct media *media;
	struct sip_tcp *tcp, *tls;
	struct site_certs certs;
	struct service *service;
	struct http_server *http[MAX_LISTEN], *https[MAX_LISTEN], *control;
	struct addr shown; /* what we tell others: our address */
	struct tcp_budget streams; /* of SIP over TCP and TLS together */
	uint32_t extensions; /* at the start */
	bool ready;
};

/* What stands in the way has been said: errno, or no memory. EXIT_FAILED. */
int start_failed(const char *what);

/* ---- strowgerd_listen.c: sockets, certificates, HTTP. 0, or the exit code ---- */

int open_sip(struct strowgerd *d);
int open_http(struct strowgerd *d);
/* Calls go on without it: what is in the way is told, and that is all. */
void open_metrics(struct strowgerd *d);

#endif
