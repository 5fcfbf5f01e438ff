// Lints an OpenAPI 3.1 document with others' rules, every one that is not a matter of taste as an error. usage: node openapi_lint.mjs FILE
import { createConfig, lint } from "@redocly/openapi-core";

const config = await createConfig({
  extends: ["recommended-strict"],
  rules: {
    struct: "error",
    spec: "off",
    "no-server-example.com": "off",
    "info-license": "error",
    "operation-operationId": "error",
    "operation-operationId-unique": "error",
    "operation-operationId-url-safe": "error",
    "operation-summary": "error",
    "operation-parameters-unique": "error",
    "operation-tag-defined": "error",
    "path-parameters-defined": "error",
    "path-declaration-must-exist": "error",
    "no-ambiguous-paths": "error",
    "no-identical-paths": "error",
    "no-unused-components": "error",
    "no-unresolved-refs": "error",
    "no-enum-type-mismatch": "error",
    "no-duplicated-tag-names": "error",
    "no-schema-type-mismatch": "error",
    "no-required-schema-properties-undefined": "off", // members by additionalProperties, and under `not`
    "no-invalid-media-type-examples": "error",
    "no-invalid-schema-examples": "error",
    "no-invalid-parameter-examples": "error",
    "security-defined": "error",
    "tag-description": "error",
    "tags-alphabetical": "off",
    "operation-2xx-response": "error",
    "operation-4xx-response": "off", // `default` is a problem document
    "response-contains-property": "off",
    "spec-components-invalid-map-name": "error",
  },
});
const problems = await lint({ ref: process.argv[2], config });
for (const problem of problems) {
  const at = problem.location[0];
  const where = at?.pointer ?? `line ${at?.start?.line}`;
  console.log(`${where}: ${problem.ruleId}: ${problem.message.replaceAll("\n", " ")}`);
}
console.log(`${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
