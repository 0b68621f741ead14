// GraphQL over HTTP: every audit of graphql-http; a warning is a failure.
import { auditServer } from "graphql-http";
import { assert, http } from "./common.mjs";

const results = await auditServer({ url: http });
const faults = results.filter((result) => result.status !== "ok");
for (const fault of faults) console.error(`${fault.status}: ${fault.name}: ${fault.reason}`);
assert.equal(faults.length, 0);
console.log(`ok ${results.length} audits`);
