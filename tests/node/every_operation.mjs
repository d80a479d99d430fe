// Every operation of AWS Audit Manager through the AWS SDK for JavaScript v3, as it is.
//
//     AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… node every_operation.mjs URL ACCOUNT
//
// Prints one JSON object: `answered` (operations whose good answer the SDK has parsed), `refused`
// (what each wrong request was told, and whether as the SDK's own class of error) and `wrong`
// (expectations that did not hold). It judges nothing else: tests/clients/test_javascript.py does.

import * as sdk from "@aws-sdk/client-auditmanager";

const [endpoint, account] = process.argv.slice(2);
const client = new sdk.AuditManagerClient({ endpoint, region: "us-east-1", maxAttempts: 1 });
const answered = new Set();
const refused = [];
const wrong = [];
const nobody = "00000000-0000-4000-8000-000000000000";

const expect = (what, held, seen) => held || wrong.push(`${what}: ${JSON.stringify(seen)}`);
const isDate = (value) => value instanceof Date && value.getFullYear() >= 2026;

async function ask(operation, input = {}) {
  const answer = await client.send(new sdk[`${operation}Command`](input));
  expect(`${operation} is answered with 200`, answer.$metadata.httpStatusCode === 200, answer);
  expect(`${operation} has a request id`, Boolean(answer.$metadata.requestId), answer.$metadata);
  answered.add(operation);
  return answer;
}

async function refuse(operation, input, name) {
  try {
    await client.send(new sdk[`${operation}Command`](input));
    wrong.push(`${operation} should have been refused with ${name}`);
  } catch (error) {
    refused.push({
      operation,
      name: error.name,
      typed: error instanceof sdk[name],
      service: error instanceof sdk.AuditManagerServiceException,
      status: error.$metadata?.httpStatusCode,
      message: error.message,
      fields: error.fields ?? null,
      reason: error.reason ?? null,
      resourceId: error.resourceId ?? null,
      resourceType: error.resourceType ?? null,
    });
  }
}

async function every(pages, member) {
  const found = [];
  for await (const page of pages) found.push(...page[member]);
  return found;
}

// account, settings, catalogue
await ask("GetAccountStatus");
await ask("RegisterAccount", { kmsKey: "DEFAULT" });
const destination = { destinationType: "S3", destination: "s3://audit-reports/node" };
await ask("UpdateSettings", { defaultAssessmentReportsDestination: destination });
const { settings } = await ask("GetSettings", { attribute: "ALL" });
expect("settings are kept", settings.defaultAssessmentReportsDestination.destination === destination.destination, settings);
expect("services", (await ask("GetServicesInScope")).serviceMetadata.length > 100, 0);
await ask("ListKeywordsForDataSource", { source: "AWS_Config", maxResults: 5 });
const keywords = await every(
  sdk.paginateListKeywordsForDataSource({ client, pageSize: 40 }, { source: "AWS_API_Call" }),
  "keywords",
);
expect("keywords in pages", keywords.length > 80 && new Set(keywords).size === keywords.length, keywords.length);

// controls and frameworks
const people = { sourceName: "people", sourceSetUpOption: "Procedural_Controls_Mapping", sourceType: "MANUAL" };
const { control } = await ask("CreateControl", { name: "Ünïcode & <names> 監査", controlMappingSources: [people], tags: { team: "grc" } });
expect("times are dates", isDate(control.createdAt), control.createdAt);
expect("nothing is invented", control.controlMappingSources[0].sourceKeyword === undefined, control);
await ask("GetControl", { controlId: control.id });
await ask("ListControls", { controlType: "Custom" });
const standard = await every(sdk.paginateListControls({ client, pageSize: 100 }, { controlType: "Standard" }), "controlMetadataList");
expect("standard controls in pages", standard.length > 100, standard.length);
await ask("UpdateControl", { controlId: control.id, name: "people", controlMappingSources: control.controlMappingSources });
const set = "Identity & access / people";
const made = await ask("CreateAssessmentFramework", { name: "node", controlSets: [{ name: set, controls: [{ id: control.id }] }] });
const framework = made.framework;
await ask("UpdateAssessmentFramework", {
  frameworkId: framework.id,
  name: "node 2",
  controlSets: [{ id: set, name: set, controls: [{ id: control.id }] }],
});
await ask("GetAssessmentFramework", { frameworkId: framework.id });
await ask("ListAssessmentFrameworks", { frameworkType: "Custom" });

// an assessment, its tags and its people
const owner = { roleType: "PROCESS_OWNER", roleArn: `arn:aws:iam::${account}:role/Owner` };
const { assessment } = await ask("CreateAssessment", {
  name: "node",
  frameworkId: framework.id,
  assessmentReportsDestination: destination,
  scope: { awsAccounts: [{ id: account }] },
  roles: [owner],
});
const assessmentId = assessment.metadata.id;
const got = await ask("GetAssessment", { assessmentId });
expect("a control set's name is its id", got.assessment.framework.controlSets[0].id === set, got.assessment.framework.controlSets[0].id);
expect("times are dates", isDate(got.assessment.metadata.creationTime), got.assessment.metadata);
await ask("ListAssessments", { status: "ACTIVE" });
await ask("UpdateAssessment", { assessmentId, assessmentName: "node 2", scope: { awsAccounts: [{ id: account }] } });
await ask("TagResource", { resourceArn: assessment.arn, tags: { c: "d", e: "ü" } });
await ask("UntagResource", { resourceArn: assessment.arn, tagKeys: ["c"] });
const { tags } = await ask("ListTagsForResource", { resourceArn: assessment.arn });
expect("tags", JSON.stringify(tags) === '{"e":"ü"}', tags);
const where = { assessmentId, controlSetId: set, controlId: control.id };
await ask("UpdateAssessmentControl", { ...where, commentBody: "looks right" });
const expert = { controlSetId: set, roleArn: `arn:aws:iam::${account}:role/Expert`, roleType: "RESOURCE_OWNER" };
const { delegations } = await ask("BatchCreateDelegationByAssessment", { assessmentId, createDelegationRequests: [expert] });
expect("a delegation", delegations.length === 1 && isDate(delegations[0].creationTime), delegations);
await ask("GetDelegations");
await ask("UpdateAssessmentControlSetStatus", { assessmentId, controlSetId: set, status: "UNDER_REVIEW", comment: "done" });
const removed = await ask("BatchDeleteDelegationByAssessment", { assessmentId, delegationIds: [delegations[0].id, nobody] });
expect("an item's error", removed.errors[0].errorCode === "404", removed.errors);
await ask("ListNotifications");
const log = await every(sdk.paginateGetChangeLogs({ client, pageSize: 2 }, { assessmentId }), "changeLogs");
expect("the change log in pages", log.length >= 4 && log.every((entry) => isDate(entry.createdAt)), log);
answered.add("GetChangeLogs");

// evidence
const upload = await ask("GetEvidenceFileUploadUrl", { fileName: "policy.txt" });
const put = await fetch(upload.uploadUrl, { method: "PUT", body: "the policy" });
expect("the upload", put.status === 200, put.status);
const manualEvidence = [{ textResponse: "we looked" }, { evidenceFileName: upload.evidenceFileName }];
const imported = await ask("BatchImportEvidenceToAssessmentControl", { ...where, manualEvidence });
expect("both are imported", (imported.errors ?? []).length === 0, imported.errors);
const { evidenceFolders } = await ask("GetEvidenceFoldersByAssessmentControl", where);
await ask("GetEvidenceFoldersByAssessment", { assessmentId });
const evidenceFolderId = evidenceFolders[0].id;
const folder = { assessmentId, controlSetId: set, evidenceFolderId };
const seen = await ask("GetEvidenceFolder", folder);
expect("a folder", seen.evidenceFolder.totalEvidence === 2 && isDate(seen.evidenceFolder.date), seen.evidenceFolder);
await ask("GetEvidenceByEvidenceFolder", folder);
const items = await every(sdk.paginateGetEvidenceByEvidenceFolder({ client, pageSize: 1 }, folder), "evidence");
expect("evidence in pages", items.length === 2 && isDate(items[0].time), items);
await ask("GetEvidence", { ...folder, evidenceId: items[0].id });
const evidenceIds = items.map((item) => item.id);
await ask("AssociateAssessmentReportEvidenceFolder", { assessmentId, evidenceFolderId });
await ask("DisassociateAssessmentReportEvidenceFolder", { assessmentId, evidenceFolderId });
await ask("BatchAssociateAssessmentReportEvidence", { assessmentId, evidenceFolderId, evidenceIds });
await ask("BatchDisassociateAssessmentReportEvidence", { assessmentId, evidenceFolderId, evidenceIds: evidenceIds.slice(1) });

// a report
const { assessmentReport } = await ask("CreateAssessmentReport", { assessmentId, name: "node-report" });
let report = assessmentReport;
for (let turn = 0; turn < 240 && report.status === "IN_PROGRESS"; turn += 1) {
  await new Promise((resume) => setTimeout(resume, 250));
  const listed = await ask("ListAssessmentReports");
  report = listed.assessmentReports.find((one) => one.id === assessmentReport.id);
}
expect("the report is made", report.status === "COMPLETE", report);
const place = { assessmentId, assessmentReportId: report.id };
const { preSignedUrl } = await ask("GetAssessmentReportUrl", place);
const archive = await fetch(preSignedUrl.link);
expect("the archive", archive.status === 200 && (await archive.arrayBuffer()).byteLength > 1000, archive.status);
const key = new URL(preSignedUrl.link).pathname.split("/files/reports/")[1];
const integrity = await ask("ValidateAssessmentReportIntegrity", { s3RelativePath: `s3://${key}` });
expect("the report is sound", integrity.signatureValid === true, integrity);
await ask("DeleteAssessmentReport", place);

// insights
await ask("GetInsights");
await ask("GetInsightsByAssessment", { assessmentId });
await ask("ListControlDomainInsights");
await ask("ListControlDomainInsightsByAssessment", { assessmentId });
await ask("ListControlInsightsByControlDomain", { controlDomainId: "UNCATEGORIZED" });
await ask("ListAssessmentControlInsightsByControlDomain", { controlDomainId: "UNCATEGORIZED", assessmentId });

// sharing with this account in another region, which must be registered there, and the organisation
const elsewhere = new sdk.AuditManagerClient({ endpoint, region: "eu-west-1", maxAttempts: 1 });
await elsewhere.send(new sdk.RegisterAccountCommand({}));
const share = (
  await ask("StartAssessmentFrameworkShare", {
    frameworkId: framework.id,
    destinationAccount: account,
    destinationRegion: "eu-west-1",
  })
).assessmentFrameworkShareRequest;
expect("a share request", share.status === "ACTIVE" && isDate(share.expirationTime), share);
await ask("ListAssessmentFrameworkShareRequests", { requestType: "SENT" });
await ask("UpdateAssessmentFrameworkShare", { requestId: share.id, requestType: "SENT", action: "REVOKE" });
await ask("DeleteAssessmentFrameworkShare", { requestId: share.id, requestType: "SENT" });
const adminAccountId = "999988887777";
await ask("RegisterOrganizationAdminAccount", { adminAccountId });
await ask("GetOrganizationAdminAccount");
await ask("DeregisterOrganizationAdminAccount", { adminAccountId });

// what is refused, and as which class
await refuse("GetControl", { controlId: nobody }, "ResourceNotFoundException");
await refuse("GetControl", { controlId: "x" }, "ValidationException");
await refuse("CreateControl", { name: "none", controlMappingSources: [] }, "ValidationException");

// the end of it
await ask("UpdateAssessmentStatus", { assessmentId, status: "INACTIVE" });
await refuse("UpdateAssessmentStatus", { assessmentId, status: "ACTIVE" }, "ValidationException");
await ask("DeleteAssessment", { assessmentId });
await ask("DeleteAssessmentFramework", { frameworkId: framework.id });
await ask("DeleteControl", { controlId: control.id });
await ask("DeregisterAccount");
await refuse("ListAssessments", {}, "AccessDeniedException");

const all = Object.keys(sdk).filter((name) => /[a-z]Command$/.test(name)).map((name) => name.slice(0, -7));
console.log(JSON.stringify({ all: all.sort(), answered: [...answered].sort(), refused, wrong }));
