/* What stands behind the rows of the route table: api_<file>_<what>() is in api/<file>.c. */
#ifndef PAWL_API_HANDLERS_H
#define PAWL_API_HANDLERS_H

#include "api/api.h"
#include "trust/release.h"

enum { API_DDI_BODY_MAX = 512 * 1024 }; /* a feedback may carry 256 kB of log, and its quotes */

#define API_IMAGE_MAX ((size_t)RELEASE_LENGTH_MAX)

bool api_check_get(struct api_call *call, struct err *err);
bool api_firmware_get(struct api_call *call, struct err *err);
bool api_report_post(struct api_call *call, struct err *err);
bool api_tuf_get(struct api_call *call, struct err *err); /* /tuf/{file} and /api/v1/metadata/{file} */
bool api_whoami_device(struct api_call *call, struct err *err);
bool api_whoami_operator(struct api_call *call, struct err *err);

bool api_ddi_poll(struct api_call *call, struct err *err);
bool api_ddi_config_put(struct api_call *call, struct err *err);
bool api_ddi_deployment_get(struct api_call *call, struct err *err);
bool api_ddi_installed_get(struct api_call *call, struct err *err);
bool api_ddi_feedback_post(struct api_call *call, struct err *err);
bool api_ddi_cancel_get(struct api_call *call, struct err *err);
bool api_ddi_cancel_post(struct api_call *call, struct err *err);
bool api_ddi_artifact_list(struct api_call *call, struct err *err);
bool api_ddi_artifact_get(struct api_call *call, struct err *err);

bool api_ddi_general_get(struct api_call *call, struct err *err);
bool api_ddi_general_log(struct api_call *call, struct err *err);
bool api_ddi_client_get(struct api_call *call, struct err *err);
bool api_ddi_client_ask(struct api_call *call, struct err *err);
bool api_ddi_token_create(struct api_call *call, struct err *err);
bool api_ddi_token_revoke(struct api_call *call, struct err *err);
bool api_ddi_log_list(struct api_call *call, struct err *err);

bool api_system_healthz(struct api_call *call, struct err *err);
bool api_system_readyz(struct api_call *call, struct err *err);
bool api_system_metrics(struct api_call *call, struct err *err);
bool api_system_openapi(struct api_call *call, struct err *err);

bool api_stats_get(struct api_call *call, struct err *err);

bool api_product_list(struct api_call *call, struct err *err);
bool api_product_create(struct api_call *call, struct err *err);
bool api_product_get(struct api_call *call, struct err *err);
bool api_product_patch(struct api_call *call, struct err *err);

bool api_device_list(struct api_call *call, struct err *err);
bool api_device_create(struct api_call *call, struct err *err);
bool api_device_get(struct api_call *call, struct err *err);
bool api_device_patch(struct api_call *call, struct err *err);
bool api_device_tags(struct api_call *call, struct err *err);
bool api_device_accept(struct api_call *call, struct err *err);
bool api_device_revoke(struct api_call *call, struct err *err);
bool api_device_retire(struct api_call *call, struct err *err);

bool api_device_import(struct api_call *call, struct err *err);
extern const struct api_stream api_device_import_stream;

bool api_image_get(struct api_call *call, struct err *err);
bool api_image_put(struct api_call *call, struct err *err);
extern const struct api_stream api_image_stream;

bool api_release_list(struct api_call *call, struct err *err);
bool api_release_publish(struct api_call *call, struct err *err);
bool api_release_get(struct api_call *call, struct err *err);
bool api_release_withdraw(struct api_call *call, struct err *err);

bool api_metadata_get(struct api_call *call, struct err *err);
bool api_metadata_post(struct api_call *call, struct err *err);

bool api_deployment_list(struct api_call *call, struct err *err);
bool api_deployment_assign(struct api_call *call, struct err *err);
bool api_deployment_get(struct api_call *call, struct err *err);
bool api_deployment_cancel(struct api_call *call, struct err *err);
bool api_deployment_retry(struct api_call *call, struct err *err);
bool api_deployment_force_close(struct api_call *call, struct err *err);

bool api_webhook_list(struct api_call *call, struct err *err);
bool api_webhook_create(struct api_call *call, struct err *err);
bool api_webhook_get(struct api_call *call, struct err *err);
bool api_webhook_patch(struct api_call *call, struct err *err);
bool api_webhook_delete(struct api_call *call, struct err *err);
bool api_webhook_rotate(struct api_call *call, struct err *err);
bool api_delivery_list(struct api_call *call, struct err *err);
bool api_delivery_test(struct api_call *call, struct err *err);
bool api_delivery_retry(struct api_call *call, struct err *err);
bool api_stream_events(struct api_call *call, struct err *err);

bool api_rollout_list(struct api_call *call, struct err *err);
bool api_rollout_create(struct api_call *call, struct err *err);
bool api_rollout_get(struct api_call *call, struct err *err);
bool api_rollout_patch(struct api_call *call, struct err *err);
bool api_rollout_delete(struct api_call *call, struct err *err);
bool api_rollout_preview(struct api_call *call, struct err *err);
bool api_rollout_preview_draft(struct api_call *call, struct err *err);
bool api_rollout_devices(struct api_call *call, struct err *err);
bool api_rollout_move_start(struct api_call *call, struct err *err);
bool api_rollout_move_pause(struct api_call *call, struct err *err);
bool api_rollout_move_resume(struct api_call *call, struct err *err);
bool api_rollout_move_stop(struct api_call *call, struct err *err);
bool api_rollout_move_approve(struct api_call *call, struct err *err);
bool api_rollout_move_retry(struct api_call *call, struct err *err);

bool api_decision_get(struct api_call *call, struct err *err);

bool api_audit_checkpoint(struct api_call *call, struct err *err);
bool api_backup_list(struct api_call *call, struct err *err);
bool api_backup_create(struct api_call *call, struct err *err);

bool api_token_list(struct api_call *call, struct err *err);
bool api_token_create(struct api_call *call, struct err *err);
bool api_token_get(struct api_call *call, struct err *err);
bool api_token_rotate(struct api_call *call, struct err *err);
bool api_token_delete(struct api_call *call, struct err *err);

bool api_expiring_list(struct api_call *call, struct err *err);
bool api_enrol_cacerts(struct api_call *call, struct err *err);
bool api_enrol_simple(struct api_call *call, struct err *err);
bool api_enrol_again(struct api_call *call, struct err *err);

bool api_claim_list(struct api_call *call, struct err *err);
bool api_claim_create(struct api_call *call, struct err *err);
bool api_claim_get(struct api_call *call, struct err *err);
bool api_claim_delete(struct api_call *call, struct err *err);

bool api_certificate_list(struct api_call *call, struct err *err);
bool api_certificate_get(struct api_call *call, struct err *err);
bool api_certificate_revoke(struct api_call *call, struct err *err);

bool api_event_list(struct api_call *call, struct err *err);
bool api_audit_list(struct api_call *call, struct err *err);

#endif
