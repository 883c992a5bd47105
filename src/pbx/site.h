/* pbx/site: the configuration as an immutable snapshot. Layer 3, pure. Published to the cell and the HTTP threads by
 * reference; a change makes a new snapshot that shares all but the touched entity and its index page (<= 1 ms at 10,000
 * extensions). Reference counts are atomic; everything else never changes after publication.
 * Rows (struct extension ...) are generated from schema.toml into gen/entities.h. */
#ifndef PBX_SITE_H
#define PBX_SITE_H

#include "gen/entities.h"
#include "sip/auth/auth.h"

struct site;

struct site_extension {
	struct extension row;
	struct digest_ha1 pin_ha1; /* of (number : provisioning realm : PIN), decrypted from row.pin_sealed at load; in memory only */
	bool has_pin;
};

struct site_device {
	struct device row;
	/* HA1 of (extension : SIP realm : device secret). Computed at load: Polycom: KDF(site key, device id, generation);
	 * generic: row.secret_sealed opened. In memory only. */
	struct digest_ha1 sip_ha1;
	bool has_secret;
};

/* An empty site with these settings. NULL: no memory. */
struct site *site_new(const struct site_settings *settings);
struct site *site_ref(struct site *s);
void site_unref(struct site *s);
uint64_t site_revision(const struct site *s); /* grows by one with each change */

const struct site_settings *site_settings_of(const struct site *s);
const struct site_extension *site_extension_find(const struct site *s, struct span number);
const struct site_device *site_device_by_id(const struct site *s, uint64_t id);
const struct site_device *site_device_by_mac(const struct site *s, struct span mac12); /* 12 lower-case hex digits */
/* Devices of one extension in id order: start with *cursor = 0; NULL at the end. */
const struct site_device *site_devices_of(const struct site *s, struct span number, uint64_t *cursor);
/* All in a stable order (by number, by id): start with *cursor = 0; NULL at the end. */
const struct site_extension *site_extension_next(const struct site *s, uint64_t *cursor);
const struct site_device *site_device_next(const struct site *s, uint64_t *cursor);
/* The tokens of the API: start with *cursor = 0; NULL at the end. */
enum { SITE_TOKENS_MAX = 64 };
const struct api_token *site_token_next(const struct site *s, uint64_t *cursor);
uint32_t site_extension_count(const struct site *s);
uint32_t site_device_count(const struct site *s);

/* New snapshots; the old one stays valid and referenced by its holders. NULL: no memory (nothing changed).
 * Rows are not validated here (gen/entities.h has the validators). */
struct site *site_with_settings(const struct site *s, const struct site_settings *v);
struct site *site_with_extension(const struct site *s, const struct site_extension *v);
struct site *site_without_extension(const struct site *s, struct span number); /* its devices go too */
struct site *site_with_device(const struct site *s, const struct site_device *v);
struct site *site_without_device(const struct site *s, uint64_t id);
struct site *site_with_token(const struct site *s, const struct api_token *v);
struct site *site_without_token(const struct site *s, struct span name);

#endif
