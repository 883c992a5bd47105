/* Peer of the parse bench: libre. */
#include <stdbool.h>
#include <stdint.h>
#include <re.h>

#include "parse_bench.h"

static int parse_once(void)
{
	struct sip_msg *m = NULL;
	struct mbuf *mb = mbuf_alloc(PARSE_LEN);
	struct sip_addr contact;
	struct httpauth_digest_resp auth;
	const struct sip_hdr *h;
	int bad = 1;
	if (!mb)
		return 1;
	mbuf_write_mem(mb, (const uint8_t *)register_910, PARSE_LEN);
	mbuf_set_pos(mb, 0);
	/* Via, From, To, CSeq, Max-Forwards and Call-ID are parsed by sip_msg_decode. */
	if (sip_msg_decode(&m, mb) == 0 && m->cseq.num == 2) {
		h = sip_msg_hdr(m, SIP_HDR_CONTACT);
		bad = !h || sip_addr_decode(&contact, &h->val) || pl_u32(&m->expires) != 3600;
		h = sip_msg_hdr(m, SIP_HDR_AUTHORIZATION);
		bad |= !h || httpauth_digest_response_decode(&auth, &h->val) || auth.response.l != 32;
	}
	mem_deref(m);
	mem_deref(mb);
	return bad;
}

int main(int argc, char **argv)
{
	if (libre_init())
		return 1;
	int rc = bench_loop(parse_once, argc, argv);
	libre_close();
	return rc;
}
