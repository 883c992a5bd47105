#include "service/http.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void http_response_free(struct http_response *r)
{
	free(r->body_mem);
	if (r->source.read)
		r->source.close(r->source.ctx);
	r->source = (struct http_source){0};
	r->body_mem = NULL;
	r->body = SPAN_NONE;
}

void http_text(struct http_response *r, uint16_t status, const char *fmt, ...)
{
	va_list ap;
	char *mem = malloc(1024);
	http_response_free(r);
	r->status = status;
	r->content_type = "text/plain; charset=utf-8";
	if (!mem)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(mem, 1024, fmt, ap);
	va_end(ap);
	r->body_mem = mem;
	r->body = span_mem(mem, n < 0 ? 0 : n > 1023 ? 1023 : (size_t)n);
}

void http_body(struct http_response *r, uint16_t status, const char *content_type, char *mem, size_t n)
{
	http_response_free(r);
	r->status = status;
	r->content_type = content_type;
	r->body_mem = mem;
	r->body = span_mem(mem, n);
}

void http_header(struct http_response *r, const char *name, struct span value)
{
	if (r->n_header == HTTP_MAX_HEADERS || span_chr(value, '\n') >= 0 || span_chr(value, '\r') >= 0)
		return;
	if (span_copyz(value, r->header[r->n_header].value, sizeof r->header[0].value))
		r->header[r->n_header++].name = name;
}
