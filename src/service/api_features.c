/* Verbs of features: POST /api/v1/features/NAME with {"args": "set 201 2 1"}. What they mean is the feature's affair. */
#include "service/api.h"

#include <jansson.h>
#include <stdlib.h>

static void refused(struct http_response *rs, int status, char *json, size_t n)
{
	char why[256] = "the switch did not answer in time";
	json_t *v = json_loadb(json ? json : "", n, JSON_DECODE_ANY, NULL);
	if (json_is_string(v))
		(void)span_copyz(span_z(json_string_value(v)), why, sizeof why);
	else if (status == 404)
		(void)span_copyz(SPAN_LIT("no feature of this name has verbs"), why, sizeof why);
	json_decref(v);
	api_error(rs, (uint16_t)(status >= 400 && status < 500 ? status : 503), why, "args", "the feature's README says what it takes");
}

void api_features(struct service *s, const struct http_request *rq, struct span id, struct http_response *rs)
{
	char words[120], *json = NULL;
	size_t n = 0;
	uint64_t next = 0;
	struct text t = TEXT_ARRAY(words);
	if (rq->method != HTTP_POST || !id.n) {
		api_error(rs, 405, "a feature's verb is sent by POST", "method", "POST /api/v1/features/NAME {\"args\": \"...\"}");
		return;
	}
	json_t *body = json_loadb(rq->body.n ? rq->body.p : "", rq->body.n, 0, NULL);
	const char *args = json_string_value(json_object_get(body, "args"));
	text_put(&t, id);
	text_putc(&t, ' ');
	text_z(&t, args ? args : "");
	if (!args || t.over) {
		json_decref(body);
		api_error(rs, 400, "args is missing or too long", "args", "send {\"args\": \"words of the verb\"}, at most 100 characters");
		return;
	}
	char told[8 * sizeof words];
	struct text value = TEXT_ARRAY(told);
	text_lit(&value, "{\"args\":");
	text_json(&value, span_z(args));
	text_putc(&value, '}');
	json_decref(body);
	int status = s->ports.ask(s->ports.ctx, CELL_Q_FEATURE, 0, 1, text_span(&t), &json, &n, &next);
	struct api_out o = {0};
	if (status < 200 || status >= 300) {
		refused(rs, status, json, n);
	} else {
		api_note(s, rq, "run", "feature", id, text_span(&value));
		api_grow(&o, n + 2);
		text_put(&o.t, span_mem(json, n));
		text_putc(&o.t, '\n');
		api_send(rs, 200, &o);
	}
	free(json);
}
