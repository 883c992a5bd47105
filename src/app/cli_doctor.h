/* app/cli_doctor: what the doctor's parts share. Layer 6, shell. */
#ifndef APP_CLI_DOCTOR_H
#define APP_CLI_DOCTOR_H

#include "app/cli.h"
#include "app/listen_ports.h"
#include "base/addr.h"

enum finding { FIND_OK, FIND_WARN, FIND_FAIL };

struct doctor {
	const char *site;
	struct addr host, from; /* whom to ask; from where (family 0: the system chooses) */
	bool json;
	json_t *findings;
	unsigned fails;
};
/* mend: what to do; "" with FIND_OK. */
void doctor_say(struct doctor *d, enum finding f, const char *what, const char *mend, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void doctor_listeners(struct doctor *d, const struct daemon_ports *p);
void doctor_site(struct doctor *d);

#endif
