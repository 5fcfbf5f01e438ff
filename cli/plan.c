#include "cli/plan.h"

#include <string.h>

#include "cli/progress.h"
#include "common/text.h"

enum { VALUE_MAX_BYTES = 8192, SIZE_TEXT = 64 };

static void write_hardware(const struct release *release, struct buf *out) {
    for (size_t i = 0; i < release->hardware_count; i++)
        buf_printf(out, "%s%s", i == 0 ? "" : ", ", release->hardware[i]);
}

static void write_size(const struct release *release, struct buf *out) {
    char size[SIZE_TEXT];
    cli_progress_size(size, sizeof(size), release->length);
    if (release->length < 1024)
        buf_text(out, size);
    else
        buf_printf(out, "%lld B (%s)", (long long)release->length, size);
}

static void write_path(const struct release *release, struct buf *out) {
    buf_text(out, release->path);
}

static void write_sequence(const struct release *release, struct buf *out) {
    buf_printf(out, "%lld", (long long)release->sequence);
}

static void write_security(const struct release *release, struct buf *out) {
    buf_printf(out, "%lld", (long long)release->security_version);
}

static void write_requires(const struct release *release, struct buf *out) {
    if (release->requires_sequence == 0)
        buf_text(out, "any");
    else
        buf_printf(out, "at least %lld", (long long)release->requires_sequence);
}

static void write_sha256(const struct release *release, struct buf *out) {
    buf_text(out, release->sha256);
}

/* Of a sealed image: what comes out of it. */
static void write_sealed(const struct release *release, struct buf *out) {
    if (release->encryption == RELEASE_AGE)
        buf_printf(out, "age, opens to %lld B with sha256 %s", (long long)release->plain_length, release->plain_sha256);
}

/* Notes are printable but for line feeds. */
static void write_notes(const struct release *release, struct buf *out) {
    for (const char *at = release->notes == NULL ? "" : release->notes; *at != '\0'; at++)
        if (*at == '\n')
            buf_text(out, " / ");
        else
            buf_byte(out, *at);
}

static const struct {
    const char *label;
    void (*write)(const struct release *release, struct buf *out);
    bool compared;  /* notes belong to one release only */
    bool two_lines; /* too long for old and new beside each other */
} plan_rows[] = {
    {"path", write_path, true, false},        {"sequence", write_sequence, true, false},     {"security version", write_security, true, false},
    {"runs on", write_hardware, true, false}, {"updates from", write_requires, true, false}, {"size", write_size, true, false},
    {"sha256", write_sha256, true, true},     {"sealed", write_sealed, false, false},        {"notes", write_notes, false, false},
};

static void write_row(const struct cli_plan *plan, size_t row, struct buf *out) {
    CLEANUP(buf_free) struct buf old = BUF_INIT(VALUE_MAX_BYTES);
    CLEANUP(buf_free) struct buf new = BUF_INIT(VALUE_MAX_BYTES);
    plan_rows[row].write(plan->next, &new);
    if (new.len == 0)
        return;
    buf_printf(out, "  %-17s ", plan_rows[row].label);
    if (plan->last == NULL || !plan_rows[row].compared) {
        buf_printf(out, "%s\n", new.data);
        return;
    }
    plan_rows[row].write(plan->last, &old);
    if (text_equal(old.data, new.data))
        buf_printf(out, "%s (as before)\n", new.data);
    else if (plan_rows[row].two_lines)
        buf_printf(out, "%s\n  %14s -> %s\n", old.data, "", new.data);
    else
        buf_printf(out, "%s -> %s\n", old.data, new.data);
}

static void write_warnings(const struct cli_plan *plan, struct buf *out) {
    if (plan->first_of_repository)
        buf_text(out, "! the first release of a new repository: the server says that it has published nothing, and nothing was seen here before\n");
    if (plan->last == NULL)
        return;
    for (size_t i = 0; i < plan->last->hardware_count; i++)
        if (!release_runs_on(plan->next, plan->last->hardware[i]))
            buf_printf(out, "! hardware %s, which the last release ran on, gets nothing from this one\n", plan->last->hardware[i]);
    if (plan->next->security_version > plan->last->security_version)
        buf_text(out, "! a device that confirms this release never again takes one with a lower security version\n");
    if (plan->next->encryption == RELEASE_PLAIN && plan->last->encryption != RELEASE_PLAIN)
        buf_text(out, "! the last release was sealed; everybody can read this one\n");
    if (text_equal(plan->next->sha256, plan->last->sha256))
        buf_text(out, "! the same image as the last release\n");
}

void cli_plan_text(const struct cli_plan *plan, struct buf *out) {
    const char *role = plan->role != NULL ? plan->role : "targets";
    if (plan->last == NULL)
        buf_printf(out, "The first release of product %s (%s version %lld):\n", plan->next->product, role, (long long)plan->targets_version);
    else
        buf_printf(out, "Product %s: %s -> %s (%s version %lld):\n", plan->next->product, plan->last->version, plan->next->version, role,
                   (long long)plan->targets_version);
    for (size_t i = 0; i < ARRAY_LEN(plan_rows); i++)
        write_row(plan, i, out);
    write_warnings(plan, out);
}

bool cli_plan_check(const struct cli_plan *plan, struct err *err) {
    const struct release *last = plan->last;
    const struct release *next = plan->next;
    if (last == NULL)
        return true;
    if (next->sequence <= last->sequence)
        return err_set_field(err, ERR_DOWNGRADE, "sequence", "sequence %lld is not higher than that of %s %s (%lld)", (long long)next->sequence,
                             last->product, last->version, (long long)last->sequence);
    if (next->security_version < last->security_version)
        return err_set_field(err, ERR_DOWNGRADE, "security-version", "security version %lld is lower than that of %s %s (%lld)",
                             (long long)next->security_version, last->product, last->version, (long long)last->security_version);
    return true;
}
