/* io/notify: word to the service manager by sd_notify(3)'s protocol, without its library. Layer 1, shell; the main thread.
 * Without NOTIFY_SOCKET in the environment nothing happens. */
#ifndef IO_NOTIFY_H
#define IO_NOTIFY_H

#include <stdint.h>

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and opens the socket: before io/sandbox. */
void notify_open(void);
/* "READY=1", "STOPPING=1", "WATCHDOG=1", ... */
void notify_say(const char *text);
/* Within what time WATCHDOG=1 must be said; 0: nobody watches. */
int64_t notify_watchdog_us(void);

#endif
