/* edge/limits: every bound on what strangers can make us keep, in one place. */
#ifndef EDGE_LIMITS_H
#define EDGE_LIMITS_H

enum {
	/* SIP over TCP */
	TCP_MAX_CONNS = 11000,           /* descriptors are the scarce thing: 16,000 for the process */
	TCP_MAX_UNPROVEN = 1024,         /* connections that have not sent one whole message: the oldest makes room */
	TCP_MAX_MESSAGE = 65535,         /* bytes of one message, and of a connection's input buffer */
	TCP_FIRST_BUFFER = 4096,
	TCP_MAX_WRITE_BUFFER = 262144,   /* bytes a slow reader may owe us; then it is closed */
	TCP_FIRST_MESSAGE_S = 30,        /* from accept to the first whole message */
	TCP_REST_OF_MESSAGE_S = 30,      /* from the first byte of a message to its last */
	TCP_CONNECT_S = 10,
	TCP_IDLE_S = 2 * 3600,           /* registrations last at most an hour, so a quiet phone is gone */
	TCP_BACKLOG = 1024,
	TCP_RING_IN = 4096,              /* messages on their way to the cell; full: sockets are not read */
	TCP_RING_OUT = 8192,             /* messages on their way out; full: dropped and counted */
	TCP_BYTES_IN_FLIGHT = 32 << 20,  /* bytes in each ring */
	TCP_PER_TURN = 64,               /* messages taken from one connection before others have their turn */

	/* SIP over TLS: what TCP has, and */
	TLS_HANDSHAKES_PER_S = 300,      /* of one source */
	TLS_HANDSHAKES_BURST = 600,

	/* Who gets through to the switch (admit.h), messages */
	ADMIT_SOURCES = 65536,           /* places: phones, blocked ones, strangers of late */
	ADMIT_SOURCE_PER_S = 50,         /* of one source without registrations */
	ADMIT_SOURCE_BURST = 200,
	ADMIT_STRANGERS_PER_S = 5000,    /* of all of them together, while nothing is late */
	ADMIT_STRANGERS_MIN = 50,
	ADMIT_EMERGENCIES_PER_S = 100,   /* INVITEs to emergency numbers from strangers and blocked ones */

	/* SIP over UDP */
	UDP_RCVBUF = 4 << 20,
	SIP_MAX_LISTENERS = 16,

	/* HTTP */
	HTTP_THREADS = 4,
	HTTPS_THREADS = 2,
	HTTP_CONTROL_THREADS = 2,
	HTTP_MAX_CONNS = 1024,
	HTTP_MAX_CONNS_PER_IP = 512,     /* a whole office may stand behind one address */
	HTTP_CONTROL_MAX_CONNS = 32,
	HTTP_IDLE_S = 15,
	HTTP_HEADER_MEMORY = 24 * 1024,  /* request line and headers of one connection; more is answered 431 or 414 */
	HTTP_MAX_URI = 2048,
	HTTP_MAX_BODY = 8 << 20,         /* whatever the service says, never more */
	HTTP_MAX_SWALLOW = 1 << 20,      /* of a body without announced length that turned out too long: then it is cut */
	HTTP_STREAM_SNDBUF = 65536,      /* of an answer that goes on: what waits in the kernel for its reader */
	HTTP_BACKLOG = 1024
};

#endif
