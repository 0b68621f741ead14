// Shared by the client scripts: the server under test, and checks that name the fault.
import assert from "node:assert/strict";

export { assert };
export const http = `${process.argv[2]}/graphql`;
export const websocket = http.replace(/^http/, "ws");

export async function run(checks) {
  for (const [name, check] of Object.entries(checks)) {
    await check();
    console.log(`ok ${name}`);
  }
  process.exit(0);
}
