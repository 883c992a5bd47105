/* sip/event/row: a subscription as the store keeps it. Layer 2, pure value. */
#ifndef SIP_EVENT_ROW_H
#define SIP_EVENT_ROW_H

#include "sip/msg/flow.h"

/* One subscription, as stored. Texts are NUL-ended. Key: local_tag. */
struct subscription_row {
	char local_tag[20], remote_tag[80], call_id[128];
	char local_uri[160], remote_uri[160], target[256], route[384];
	char package[32], event_id[32], type[64], resource[64], subscriber[16];
	uint64_t device_id;
	uint32_t cseq;           /* no number up to this one has been used after a restart: reserved */
	uint32_t remote_cseq;
	uint8_t state;           /* 0 pending, 1 active */
	struct sip_flow flow;
	int64_t expires_wall_ms, written_wall_ms;
};

#endif
