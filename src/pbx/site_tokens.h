/* pbx/site_tokens: the API's tokens of a snapshot, in the order of their making. Inside pbx. A list never changes; a change makes
 * another one. */
#ifndef PBX_SITE_TOKENS_H
#define PBX_SITE_TOKENS_H

#include "pbx/site.h"

struct site_tokens;
struct site_tokens *site_tokens_ref(struct site_tokens *t); /* NULL stays NULL */
void site_tokens_unref(struct site_tokens *t);
/* A copy with v added, or in the place of the one with its id; or without the one of this name. *out NULL: none are left.
 * -1: no memory, or SITE_TOKENS_MAX of them. */
int site_tokens_with(const struct site_tokens *t, const struct api_token *v, struct site_tokens **out);
int site_tokens_without(const struct site_tokens *t, struct span name, struct site_tokens **out);
const struct api_token *site_tokens_at(const struct site_tokens *t, uint64_t i); /* NULL: not so many */

#endif
