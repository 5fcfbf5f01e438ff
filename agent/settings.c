#include "agent/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/identity.h"
#include "common/file.h"
#include "common/text.h"

#define AT(field) offsetof(struct agent_settings, field)

static const char *const identities[] = {"san", "cn", NULL};
static const char *const clocks[] = {"system", "none", NULL};
static const char *const installers[] = {"slots", "command", NULL};
static const char *const reboots[] = {"command", "exit", "none", NULL};
static const char *const confirms[] = {"self-test", "external", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"logfmt", "json", NULL};

/* clang-format off */
static const struct config_key keys[] = {
    {.section = "server", .name = "url", .type = CONFIG_TEXT, .offset = AT(server_url), .flags = CONFIG_REQUIRED,
     .help = "Device listener of pawld, as https://name:port. Plain http is refused, redirects are not followed."},
    {.section = "server", .name = "ca", .type = CONFIG_PATH, .offset = AT(server_ca), .flags = CONFIG_REQUIRED,
     .help = "PEM file with the CA certificates that may sign the server's certificate. The system's own CAs are never used."},
    {.section = "server", .name = "public_key", .type = CONFIG_TEXT, .offset = AT(server_public_key),
     .help = "Optional: the server's key must be this one as well, sha256//BASE64 of its SubjectPublicKeyInfo; several with ';' between them."},
    {.section = "server", .name = "connect_timeout", .type = CONFIG_DURATION, .offset = AT(connect_timeout_s), .fallback = "30s",
     .min = 1, .max = 600, .help = "For the connection with its handshake."},
    {.section = "server", .name = "request_timeout", .type = CONFIG_DURATION, .offset = AT(request_timeout_s), .fallback = "60s",
     .min = 1, .max = 3600, .help = "For each request but the download of an image, which has download.min_rate."},

    {.section = "device", .name = "certificate", .type = CONFIG_PATH, .offset = AT(certificate),
     .help = "PEM file: the device's certificate, then intermediate ones if there are any. Required unless enrolment.url is set."},
    {.section = "device", .name = "key", .type = CONFIG_PATH, .offset = AT(key),
     .help = "PEM file with its private key; refused when group or others can read it."},
    {.section = "device", .name = "identity", .type = CONFIG_CHOICE, .offset = AT(identity), .fallback = "san", .choices = identities,
     .help = "Where the certificate says the device's id: san (the URI urn:pawl:device:<id>) or cn; as the server's tls.identity."},
    {.section = "device", .name = "product", .type = CONFIG_TEXT, .offset = AT(product), .flags = CONFIG_REQUIRED,
     .help = "The line of releases this device follows."},
    {.section = "device", .name = "hardware", .type = CONFIG_TEXT, .offset = AT(hardware), .flags = CONFIG_REQUIRED,
     .help = "What it is; a release must name exactly this id."},
    {.section = "device", .name = "clock", .type = CONFIG_CHOICE, .offset = AT(clock), .fallback = "system", .choices = clocks,
     .help = "none: the device has no clock it can trust; the server's signed answer to a fresh nonce is then the time, and the dates in the\n"
             "server's certificates are not asked."},
    {.section = "device", .name = "trust_root", .type = CONFIG_PATH, .offset = AT(trust_root), .flags = CONFIG_REQUIRED,
     .help = "The first root metadata (1.root.json), put here when the device is made. Without it the agent does not start."},
    {.section = "device", .name = "seal_identity", .type = CONFIG_PATH, .offset = AT(seal_identity),
     .help = "File with the age identities (AGE-SECRET-KEY-1…, one a line) that open sealed images; mode 0400, refused when group or others\n"
             "can read it. Without it sealed releases are refused."},
    {.section = "device", .name = "state", .type = CONFIG_PATH, .offset = AT(state), .fallback = "/var/lib/pawl-agent",
     .help = "Folder that survives updates, for state, trusted metadata and downloads. One agent at a time."},

    {.section = "enrolment", .name = "url", .type = CONFIG_TEXT, .offset = AT(enrolment_url),
     .help = "Enrolment listener of pawld, as https://name:port. The agent then makes its key itself, asks for its certificate, keeps both in\n"
             "device.state and renews them from two thirds of the certificate's life on; device.certificate and device.key are not set."},
    {.section = "enrolment", .name = "id", .type = CONFIG_TEXT, .offset = AT(enrolment_id),
     .help = "The device's id; required with url."},
    {.section = "enrolment", .name = "claim", .type = CONFIG_PATH, .offset = AT(enrolment_claim),
     .help = "File with the claim token (pawl claims create), mode 0400. Of no use after the enrolment. Without it, and without a\n"
             "factory's certificate, an administrator must accept the device."},
    {.section = "enrolment", .name = "factory_certificate", .type = CONFIG_PATH, .offset = AT(factory_certificate),
     .help = "PEM file: a certificate of the server's enrolment.factory_ca for this id; shown for the first enrolment alone."},
    {.section = "enrolment", .name = "factory_key", .type = CONFIG_PATH, .offset = AT(factory_key),
     .help = "PEM file with its private key; refused when group or others can read it."},

    {.section = "log", .name = "level", .type = CONFIG_CHOICE, .offset = AT(log_level), .fallback = "info", .choices = levels,
     .help = "Least important line that is written."},
    {.section = "log", .name = "format", .type = CONFIG_CHOICE, .offset = AT(log_format), .fallback = "logfmt", .choices = formats,
     .help = "One line an event on standard error."},

    {.section = "poll", .name = "interval", .type = CONFIG_DURATION, .offset = AT(poll_interval_s), .fallback = "15m", .min = 1, .max = 604800,
     .help = "Between polls when the server does not say (Poll-After). Up to a tenth is added at random."},
    {.section = "poll", .name = "max", .type = CONFIG_DURATION, .offset = AT(poll_max_s), .fallback = "1d", .min = 1, .max = 2592000,
     .help = "Longest wait, whatever the server says."},
    {.section = "poll", .name = "splay", .type = CONFIG_DURATION, .offset = AT(poll_splay_s), .fallback = "30s", .max = 86400,
     .help = "The daemon's first poll waits a random part of this, so that a fleet does not return in one moment."},
    {.section = "poll", .name = "retry_min", .type = CONFIG_DURATION, .offset = AT(retry_min_s), .fallback = "10s", .min = 1, .max = 86400,
     .help = "After a failure the daemon waits a random time below this, doubled with each further failure …"},
    {.section = "poll", .name = "retry_max", .type = CONFIG_DURATION, .offset = AT(retry_max_s), .fallback = "1h", .min = 1, .max = 604800,
     .help = "… up to this."},

    {.section = "download", .name = "max_rate", .type = CONFIG_SIZE, .offset = AT(max_rate_bytes), .fallback = "0", .min = 0,
     .max = INT64_C(1099511627776), .help = "Bytes per second; 0 is unlimited."},
    {.section = "download", .name = "min_rate", .type = CONFIG_SIZE, .offset = AT(min_rate_bytes), .fallback = "256", .min = 1, .max = 1073741824,
     .help = "Bytes per second. A download slower than this …"},
    {.section = "download", .name = "min_rate_time", .type = CONFIG_DURATION, .offset = AT(min_rate_time_s), .fallback = "60s", .min = 1, .max = 3600,
     .help = "… for this long is stopped, and goes on later where it was."},

    {.section = "install", .name = "installer", .type = CONFIG_CHOICE, .offset = AT(installer), .fallback = "slots", .choices = installers,
     .help = "slots: the agent writes the slot that does not run. command: install.command takes the verified file (RAUC, SWUpdate, …)."},
    {.section = "install", .name = "slot_a", .type = CONFIG_PATH, .offset = AT(slot_a),
     .help = "First slot: a block device or a file. It must be there; the agent never makes one."},
    {.section = "install", .name = "slot_b", .type = CONFIG_PATH, .offset = AT(slot_b), .help = "Second slot."},
    {.section = "install", .name = "running_file", .type = CONFIG_PATH, .offset = AT(running_file),
     .help = "How the agent knows which slot runs: a file that holds 'a' or 'b', or the word pawl.slot=a or pawl.slot=b\n"
             "(/proc/cmdline, when the boot loader puts it there). The agent never guesses: unknown means that nothing is installed.\n"
             "With installer = command only hooks.confirm = external, or reboot = none with hooks.self_test, can do without."},
    {.section = "install", .name = "running_command", .type = CONFIG_TEXT, .offset = AT(running_command),
     .help = "The same by a command that prints it. Commands are split at blanks, '…' and \"…\" keep blanks; there is no shell."},
    {.section = "install", .name = "boot_pointer", .type = CONFIG_PATH, .offset = AT(boot_pointer),
     .help = "Symbolic link to the slot that boots next, replaced by an atomic rename …"},
    {.section = "install", .name = "boot_command", .type = CONFIG_TEXT, .offset = AT(boot_command),
     .help = "… or a command, called with PAWL_ACTION=switch, confirm or fall-back, and PAWL_SLOT and PAWL_SLOT_PATH. It may be called twice."},
    {.section = "install", .name = "command", .type = CONFIG_TEXT, .offset = AT(install_command),
     .help = "For installer = command: gets the file as last argument and in PAWL_IMAGE; exit status 0 means installed."},
    {.section = "install", .name = "reboot", .type = CONFIG_CHOICE, .offset = AT(reboot), .fallback = "command", .choices = reboots,
     .help = "command: hooks.reboot. exit: the agent ends, and whoever started it reboots the device. none: nothing needs a reboot\n"
             "(installer = command only); the self-test follows at once."},
    {.section = "install", .name = "boot_id_file", .type = CONFIG_PATH, .offset = AT(boot_id_file), .fallback = "/proc/sys/kernel/random/boot_id",
     .help = "Its text differs after a reboot. Tells a device that fell back to its old slot from one that has not rebooted yet."},
    {.section = "install", .name = "max_attempts", .type = CONFIG_INT, .offset = AT(max_attempts), .fallback = "3", .min = 1, .max = 100,
     .help = "How often one release is tried after it was installed and failed."},

    {.section = "hooks", .name = "consent", .type = CONFIG_TEXT, .offset = AT(consent_command),
     .help = "Asks the device's user before an update that the server calls optional (PAWL_VERSION, PAWL_PATH, PAWL_DEPLOYMENT): exit status 0\n"
             "installs it now, anything else postpones it to a later check. None: optional updates are installed like any other."},
    {.section = "hooks", .name = "reboot", .type = CONFIG_TEXT, .offset = AT(reboot_command), .fallback = "/sbin/reboot",
     .help = "Reboots the device, or sees to it that this happens soon."},
    {.section = "hooks", .name = "self_test", .type = CONFIG_TEXT, .offset = AT(self_test_command),
     .help = "Runs after the reboot in the new slot; exit status 0 confirms the release, anything else falls back.\n"
             "None: a release is confirmed as soon as the agent runs in its slot."},
    {.section = "hooks", .name = "confirm", .type = CONFIG_CHOICE, .offset = AT(confirm), .fallback = "self-test", .choices = confirms,
     .help = "external: no self-test here; somebody else calls `pawl-agent confirm` (or `confirm --failed`) …"},
    {.section = "hooks", .name = "confirm_within", .type = CONFIG_DURATION, .offset = AT(confirm_within_s), .fallback = "15m", .min = 1,
     .max = 604800, .help = "… within this time, or the device falls back."},
    {.section = "hooks", .name = "timeout", .type = CONFIG_DURATION, .offset = AT(hook_timeout_s), .fallback = "10m", .min = 1, .max = 86400,
     .help = "A command that takes longer is killed and has failed."},
};
/* clang-format on */

const struct config_table agent_settings_table = {
    .program = "pawl-agent",
    .env_prefix = "PAWL_AGENT_",
    .keys = keys,
    .count = ARRAY_LEN(keys),
};

static bool check_url(const char *section, const char *url, struct err *err) {
    static const char scheme[] = "https://";
    if (!text_starts(url, scheme))
        return err_set(err, ERR_CONFIG, "[%s] url '%s' does not begin with https://", section, url);
    const char *host = url + strlen(scheme);
    size_t len = strcspn(host, "/?#");
    if (len == 0 || strpbrk(host, "@\\ ?#") != NULL)
        return err_set(err, ERR_CONFIG, "[%s] url is not https://name or https://name:port", section);
    if (host[len] == '/' && host[len + 1] != '\0')
        return err_set(err, ERR_CONFIG, "[%s] url '%s' has a path; only https://name:port is wanted", section, url);
    return true;
}

/* Either the operator's certificate and key, or the agent's own. */
static bool check_identity(const struct agent_settings *settings, struct err *err) {
    if (settings->enrolment_url == NULL) {
        if (settings->certificate == NULL || settings->key == NULL)
            return err_set(err, ERR_CONFIG, "[device] certificate and key are required, or [enrolment] url");
        if (settings->enrolment_id != NULL || settings->enrolment_claim != NULL || settings->factory_certificate != NULL ||
            settings->factory_key != NULL)
            return err_set(err, ERR_CONFIG, "[enrolment] needs its url");
        return true;
    }
    if (settings->certificate != NULL || settings->key != NULL)
        return err_set(err, ERR_CONFIG, "[device] certificate and key are not set with [enrolment] url: the agent makes them");
    if (settings->enrolment_id == NULL || !text_is_id(settings->enrolment_id))
        return err_set(err, ERR_CONFIG, "[enrolment] id is not [A-Za-z0-9._:-]{1,64}");
    if ((settings->factory_certificate == NULL) != (settings->factory_key == NULL))
        return err_set(err, ERR_CONFIG, "[enrolment] factory_certificate and factory_key belong together: one of them is missing");
    return check_url("enrolment", settings->enrolment_url, err);
}

static bool check_slots(const struct agent_settings *settings, struct err *err) {
    if (settings->slot_a == NULL || settings->slot_b == NULL)
        return err_set(err, ERR_CONFIG, "[install] installer = slots needs slot_a and slot_b");
    if (text_equal(settings->slot_a, settings->slot_b))
        return err_set(err, ERR_CONFIG, "[install] slot_a and slot_b are the same: %s", settings->slot_a);
    if ((settings->boot_pointer == NULL) == (settings->boot_command == NULL))
        return err_set(err, ERR_CONFIG, "[install] installer = slots needs boot_pointer or boot_command, and not both");
    if ((settings->running_file == NULL) == (settings->running_command == NULL))
        return err_set(err, ERR_CONFIG, "[install] installer = slots needs running_file or running_command, and not both");
    if (settings->reboot == AGENT_REBOOT_NONE)
        return err_set(err, ERR_CONFIG, "[install] reboot = none is for installer = command only: a slot runs after a reboot");
    return true;
}

static bool check_command(const struct agent_settings *settings, struct err *err) {
    if (settings->install_command == NULL)
        return err_set(err, ERR_CONFIG, "[install] installer = command needs a command");
    /* After a reboot the old system may be what runs, and its self-test passes as well. */
    bool judged = settings->confirm == AGENT_CONFIRM_EXTERNAL || (settings->reboot == AGENT_REBOOT_NONE && settings->self_test_command != NULL);
    bool knows_slot = settings->running_file != NULL || settings->running_command != NULL;
    if (!judged && !knows_slot)
        return err_set(err, ERR_CONFIG,
                       "[install] installer = command needs running_file, running_command or hooks.confirm = external (with reboot = none "
                       "hooks.self_test will do): nothing else tells whether the new release runs");
    return true;
}

bool agent_settings_check(const struct agent_settings *settings, struct err *err) {
    if (!check_url("server", settings->server_url, err) || !check_identity(settings, err))
        return false;
    if (settings->server_public_key != NULL && !text_starts(settings->server_public_key, "sha256//"))
        return err_set(err, ERR_CONFIG, "[server] public_key is not sha256//BASE64");
    if (!text_is_id(settings->product))
        return err_set(err, ERR_CONFIG, "[device] product '%s' is not [A-Za-z0-9._:-]{1,64}", settings->product);
    if (!text_is_id(settings->hardware))
        return err_set(err, ERR_CONFIG, "[device] hardware '%s' is not [A-Za-z0-9._:-]{1,64}", settings->hardware);
    if (settings->retry_min_s > settings->retry_max_s)
        return err_set(err, ERR_CONFIG, "[poll] retry_min is longer than retry_max");
    if (settings->reboot == AGENT_REBOOT_COMMAND && settings->reboot_command == NULL)
        return err_set(err, ERR_CONFIG, "[install] reboot = command needs hooks.reboot");
    if (settings->confirm == AGENT_CONFIRM_EXTERNAL && settings->self_test_command != NULL)
        return err_set(err, ERR_CONFIG, "[hooks] self_test is never run with confirm = external");
    return settings->installer == AGENT_INSTALLER_SLOTS ? check_slots(settings, err) : check_command(settings, err);
}

/* Where the agent keeps what it made itself. */
static bool set_identity(struct agent_settings *settings) {
    if (settings->enrolment_url == NULL)
        return true;
    free(settings->certificate);
    free(settings->key);
    settings->key = NULL;
    if (asprintf(&settings->certificate, "%s/identity/%s", settings->state, AGENT_IDENTITY_CURRENT) < 0)
        settings->certificate = NULL;
    settings->key = settings->certificate != NULL ? strdup(settings->certificate) : NULL;
    return settings->key != NULL;
}

bool agent_settings_load(const char *path, struct agent_settings *ret_settings, struct err *err) {
    struct agent_settings settings = {0};
    char *whole = realpath(path, NULL); /* paths in it are then whole as well: one of them becomes the target of a link */
    if (whole == NULL) {
        (void)err_errno(err, "%s", path);
        err->code = ERR_CONFIG;
        return false;
    }
    bool loaded = config_load(&agent_settings_table, whole, &settings, err);
    free(whole);
    if (!loaded)
        return false;
    if (!agent_settings_check(&settings, err)) {
        agent_settings_free(&settings);
        return err_prefix(err, "%s", path);
    }
    if (!set_identity(&settings)) {
        agent_settings_free(&settings);
        return err_no_memory(err);
    }
    *ret_settings = settings;
    return true;
}

bool agent_settings_read(const char *key, const char *path, bool secret, struct buf *out, struct err *err) {
    if (!(secret ? file_read_secret(path, out, err) : file_read(path, out, err))) {
        err->code = err->code == ERR_NOT_FOUND ? ERR_CONFIG : err->code;
        return err_prefix(err, "%s", key);
    }
    return out->len > 0 || err_set(err, ERR_CONFIG, "%s: %s is empty", key, path);
}

void agent_settings_free(struct agent_settings *settings) {
    config_free(&agent_settings_table, settings);
}
