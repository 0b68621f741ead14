// The three views of the compiled application against the served API.
import assert from "node:assert/strict";
import { show } from "./built/views.js";

const [, , server, mode] = process.argv;
const isTrusting = mode === "trusting";
const list = await show(server, "list", isTrusting);
assert.match(list[0], /Llama 3.1 8B/);
assert.equal(list.length, 6);
assert.match(list[1], /tok\/s/);
const pair = await show(server, "pair", isTrusting);
assert.equal(pair.length, 2);
assert.match(pair[1], /^with 65536 tokens: /);
const compare = await show(server, "compare", isTrusting);
assert.equal(compare.length, 4);
assert.match(compare[2], /NOT_FOUND rtx-4090/);
assert.equal(compare.filter((line) => line.startsWith("* ")).length, 1);
console.log("ok three views");
