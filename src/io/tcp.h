/* io/tcp: non-blocking listening, accepting, connecting. Layer 1, shell. All descriptors are CLOEXEC and non-blocking. */
#ifndef IO_TCP_H
#define IO_TCP_H

#include "base/addr.h"

/* A listening socket (SO_REUSEADDR; IPv6 is IPv6 only). -1: errno. */
int tcp_listen(const struct addr *a, int backlog) __attribute__((warn_unused_result));
/* The next connection; -1 and EAGAIN when none waits. TCP_NODELAY is set, and the kernel probes a quiet peer (60 s). */
int tcp_accept(int listener, struct addr *remote, struct addr *local) __attribute__((warn_unused_result));
/* Starts connecting, from our address when from has a family (its port is ignored). -1: errno. Writable when done: ask tcp_error. */
int tcp_connect(const struct addr *to, const struct addr *from) __attribute__((warn_unused_result));
/* The pending error of a socket (SO_ERROR); 0: none. */
int tcp_error(int fd);
struct addr tcp_local(int fd);
/* A Unix stream socket listening at path with mode 0600; an old socket file there is replaced. -1: errno (ENAMETOOLONG ...). */
int unix_listen(const char *path, int backlog) __attribute__((warn_unused_result));

#endif
