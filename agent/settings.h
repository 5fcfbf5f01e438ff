/* What the agent is told by its configuration file: one struct, one table. */
#ifndef PAWL_AGENT_SETTINGS_H
#define PAWL_AGENT_SETTINGS_H

#include "common/buf.h"
#include "common/config.h"

enum agent_identity { AGENT_IDENTITY_SAN, AGENT_IDENTITY_CN };
enum agent_clock { AGENT_CLOCK_SYSTEM, AGENT_CLOCK_NONE };
enum agent_installer { AGENT_INSTALLER_SLOTS, AGENT_INSTALLER_COMMAND };
enum agent_reboot { AGENT_REBOOT_COMMAND, AGENT_REBOOT_EXIT, AGENT_REBOOT_NONE };
enum agent_confirm { AGENT_CONFIRM_SELF_TEST, AGENT_CONFIRM_EXTERNAL };

struct agent_settings {
    char *server_url, *server_ca, *server_public_key;
    int64_t connect_timeout_s, request_timeout_s;

    char *certificate, *key, *product, *hardware;
    int identity;                                         /* enum agent_identity */
    int clock;                                            /* enum agent_clock */
    char *enrolment_url, *enrolment_id, *enrolment_claim; /* url NULL: certificate and key are the operator's matter */
    char *factory_certificate, *factory_key;
    char *trust_root;
    char *seal_identity;
    char *state;
    int log_level, log_format; /* enum log_level, enum log_format */

    int64_t poll_interval_s, poll_max_s, poll_splay_s, retry_min_s, retry_max_s;
    int64_t max_rate_bytes, min_rate_bytes, min_rate_time_s;

    int installer; /* enum agent_installer */
    char *slot_a, *slot_b, *install_command;
    char *running_file, *running_command;
    char *boot_pointer, *boot_command;
    char *boot_id_file;
    int reboot; /* enum agent_reboot */
    char *reboot_command;
    int64_t max_attempts;

    char *self_test_command;
    char *consent_command;
    int confirm; /* enum agent_confirm */
    int64_t confirm_within_s, hook_timeout_s;
};

extern const struct config_table agent_settings_table;

/* Reads, then checks what one key alone cannot say: an https URL, slots that are two, a way to know the running slot, … ERR_CONFIG. Free with
 * agent_settings_free(). With an enrolment listener certificate and key both name the file in the state folder that they are kept in. */
bool agent_settings_load(const char *path, struct agent_settings *ret_settings, struct err *err) MUST_USE;
void agent_settings_free(struct agent_settings *settings); /* fits CLEANUP */

/* Appends a file that the configuration names; `key` says where. ERR_CONFIG when it is not there or empty. secret: ERR_KEY when it is open to others.
 */
bool agent_settings_read(const char *key, const char *path, bool secret, struct buf *out, struct err *err) MUST_USE;

/* The part of the above that looks at values only. */
bool agent_settings_check(const struct agent_settings *settings, struct err *err) MUST_USE;

#endif
