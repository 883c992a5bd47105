/* sip/auth/params: the "name=value, name=\"value\"" lists of digest headers (RFC 7235 2.1). Layer 2, pure, private to
 * the folder. Values point into the input; quotes are cut off, escapes stay as they stood, since RFC 7616 digests them so. */
#ifndef SIP_AUTH_PARAMS_H
#define SIP_AUTH_PARAMS_H

#include "base/span.h"

enum { AUTH_MAX_PARAMS = 32, AUTH_MAX_VALUE = 4096 };

/* True and *rest behind the scheme when the value begins with "Digest" and a space. */
bool auth_scheme_digest(struct span *rest);
/* The next parameter: 1 filled, 0 end, -1 malformed. */
int auth_param_next(struct span *rest, struct span *name, struct span *value);

#endif
