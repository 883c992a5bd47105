/* Peer of the parse bench: sofia-sip. Its parser reads every header it knows at once. */
#include <sofia-sip/msg.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/msg_parser.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>

#include "parse_bench.h"

static int parse_once(void)
{
	msg_t *m = msg_make(sip_default_mclass(), 0, register_910, PARSE_LEN);
	sip_t *s = m ? sip_object(m) : NULL;
	const char *response = s && s->sip_authorization ? msg_params_find(s->sip_authorization->au_params, "response=") : NULL;
	int bad = !s || s->sip_error || !s->sip_via || !s->sip_from || !s->sip_to || !s->sip_cseq || s->sip_cseq->cs_seq != 2 ||
		  !s->sip_contact || !s->sip_expires || s->sip_expires->ex_delta != 3600 || !response || strlen(response) < 32;
	msg_destroy(m);
	return bad;
}

int main(int argc, char **argv)
{
	return bench_loop(parse_once, argc, argv);
}
