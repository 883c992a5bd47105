/* polycom/ua: what a phone says of itself. Layer 2, pure. Source: polycom-facts 2.7 and 8 (HTTP and SIP forms). A
 * User-Agent proves nothing: use it to show and to choose, never to trust. */
#ifndef POLYCOM_UA_H
#define POLYCOM_UA_H

#include "base/span.h"

struct polycom_ua {
	struct span family;  /* "VVX", "SoundPointIP", "SoundStationIP" */
	struct span model;   /* "VVX_410" */
	struct span version; /* "5.4.2.6345": the Updater's in stage 1 (fact 6) */
	struct span serial;  /* 12 hex digits, or empty */
	bool updater;        /* Type/Updater */
	bool application;    /* Type/Application */
};

/* "FileTransport PolycomVVX-VVX_410-UA/5.4.2.6345 (SN:0004f2...) Type/Application", with or without what may be absent,
 * and the SIP forms. False: no Polycom. */
bool polycom_ua_parse(struct span ua, struct polycom_ua *out);

#endif
