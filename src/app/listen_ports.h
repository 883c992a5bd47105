/* app/listen_ports: which port each listener has (G10). Layer 6; the daemon binds them, the doctor asks them. Pure but for the file. */
#ifndef APP_LISTEN_PORTS_H
#define APP_LISTEN_PORTS_H

#include "base/span.h"

struct daemon_ports {
	uint16_t sip, sips, sip_service, http, https, metrics, sips_legacy, rtp_first; /* in a list of wishes, 0: none */
};

/* Offsets from base: +0 SIP .. +6 SIP over old TLS, +100 up RTP. 0: 5060, 5061, 10060, 8080, 8443, 9090, 5062, and RTP from 16384. */
void ports_standard(struct daemon_ports *p, uint16_t base);
/* "http=80". Names: sip, sips, service, http, https, metrics, sips-old, rtp. -1: no such name, or no port from 1 to 65535 (rtp: an even one). */
int ports_wish(struct daemon_ports *p, struct span words) __attribute__((warn_unused_result));
void ports_apply(struct daemon_ports *p, const struct daemon_ports *wishes);
/* Two that cannot be one: "http=8080 and metrics=8080"; false: all differ. rtp_end: the first port behind the RTP range. */
bool ports_clash(const struct daemon_ports *p, uint32_t rtp_end, char *what, size_t n);
bool ports_any_low(const struct daemon_ports *p); /* one below 1024 */

/* SITE/ports: what the running daemon has, for the doctor. 0, or -1 with errno (EINVAL: not such a file). May block. */
int ports_write(const struct daemon_ports *p, const char *site) __attribute__((warn_unused_result));
int ports_read(struct daemon_ports *p, const char *site) __attribute__((warn_unused_result));

#endif
