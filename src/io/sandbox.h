/* io/sandbox: what the process gives up once it runs. Layer 1, shell; the main thread. */
#ifndef IO_SANDBOX_H
#define IO_SANDBOX_H

#include <stdbool.h>

/* Is this a build in which the filter stays off (sanitizers need ptrace and more)? */
bool sandbox_is_off_by_build(void);

/* Root becomes `user`: groups, then user, for good; every capability is gone with it, but with low_ports CAP_NET_BIND_SERVICE. Before
 * any thread. -1: errno (ENOENT: no such user; EPERM: we are not root, or could come back). */
int sandbox_become(const char *user, bool low_ports) __attribute__((warn_unused_result));
/* The uid and gid of `user`; -1: ENOENT. */
int sandbox_user(const char *user, unsigned *uid, unsigned *gid) __attribute__((warn_unused_result));

/* No new privileges, no core dumps, not to be traced, and from here on only the system calls of a running switch, in all
 * threads (seccomp, TSYNC): no other program is begun (the process is killed for trying), no socket but IPv4 and IPv6 is
 * made, no memory becomes code. What else is not on the list fails with EPERM, and the kernel's audit log says so.
 * Afterwards there is no way back. -1: errno. */
int sandbox_enter(void) __attribute__((warn_unused_result));

#endif
