/* Peer of the parse bench: osip2. */
#include <osipparser2/osip_parser.h>
#include <osipparser2/osip_headers.h>

#include "parse_bench.h"

static int parse_once(void)
{
	osip_message_t *m = NULL;
	osip_via_t *via = NULL;
	osip_contact_t *contact = NULL;
	osip_header_t *expires = NULL;
	osip_authorization_t *auth = NULL;
	int bad = 1;
	if (osip_message_init(&m))
		return 1;
	if (osip_message_parse(m, register_910, PARSE_LEN) == 0)
		bad = osip_message_get_via(m, 0, &via) < 0 || !m->from || !m->to || !m->cseq || atoi(m->cseq->number) != 2 ||
		      osip_message_get_contact(m, 0, &contact) < 0 || osip_message_get_expires(m, 0, &expires) < 0 ||
		      atoi(expires->hvalue) != 3600 || osip_message_get_authorization(m, 0, &auth) < 0 || !auth->response;
	osip_message_free(m);
	return bad;
}

int main(int argc, char **argv)
{
	parser_init();
	return bench_loop(parse_once, argc, argv);
}
