#include <string.h>

#include "api/call.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/shapes.h"
#include "common/version.h"
#include "db/deployment.h"

/* Error codes are names, so that they can be counted. */
static bool check_error(const struct api_report_error *error, struct err *err) {
    const char *code = error->code;
    bool good = strncmp(code, "E_", 2) == 0 && code[2] != '\0' && strlen(code) <= 42;
    for (size_t i = 2; good && code[i] != '\0'; i++)
        good = (code[i] >= 'A' && code[i] <= 'Z') || (code[i] >= '0' && code[i] <= '9') || code[i] == '_';
    return good ? true : err_set_field(err, ERR_INVALID, "error.code", "'error.code' must look like E_HASH");
}

static bool to_report(const struct api_report_input *input, uint64_t present, struct db_report_new *report, struct err *err) {
    if (!fleet_event_parse_report(input->state, &report->event))
        return err_set_field(err, ERR_INVALID, "state",
                             "'state' is not one of downloading downloaded installing rebooting confirmed failed rejected");
    if (!api_number(input->deployment, "deployment", &report->deployment, err))
        return false;
    report->report_seq = input->report_seq;
    report->progress = (present & API_REPORT_HAS_PROGRESS) != 0 ? input->progress : -1;
    if (input->error != NULL) {
        if (!check_error(input->error, err))
            return false;
        report->error_code = input->error->code;
        report->error_text = input->error->detail;
    }
    if (input->installed != NULL) {
        if (input->installed->version != NULL && !version_check(input->installed->version, err))
            return err_set_field(err, ERR_INVALID, "installed.version", "'installed.version' is not a version as SemVer 2.0.0 has them");
        report->installed_known = true;
        report->installed_sequence = input->installed->sequence;
        report->installed_version = input->installed->version;
    } else if (report->event == FLEET_REPORT_CONFIRMED) {
        return err_set_field(err, ERR_INVALID, "installed", "'installed' is required with the state confirmed");
    }
    return true;
}

bool api_report_post(struct api_call *call, struct err *err) {
    struct api_report_input input;
    uint64_t present;
    struct db_report_new report = {0};
    struct db_reported reported;
    if (!api_body(call, &api_shape_report_input, &input, &present, err) || !to_report(&input, present, &report, err) ||
        !db_deployment_report(call->db, call->identity.id, &report, call->now, &reported, err))
        return false;
    const struct api_report reply = {
        .deployment = input.deployment,
        .report_seq = input.report_seq,
        .state = fleet_deployment_state_name(reported.state),
        .repeated = reported.repeated,
    };
    call->reply.reason = reply.state;
    return api_reply_json(call, 0, &api_shape_report, &reply, err);
}
