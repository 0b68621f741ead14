// relay-runtime with the artifacts of relay-compiler: fetch, page, refetch by global id.
import relay from "relay-runtime";
import { assert, http, run } from "../common.mjs";

const { Environment, Network, RecordSource, Store, createOperationDescriptor, fetchQuery, getRequest } = relay;
const load = async (name) => (await import(`./__generated__/${name}.graphql.js`)).default;
const environment = new Environment({
  network: Network.create(async ({ text }, variables) => {
    const headers = { "content-type": "application/json" };
    return (await fetch(http, { method: "POST", headers, body: JSON.stringify({ query: text, variables }) })).json();
  }),
  store: new Store(new RecordSource()),
});
const records = () => Object.values(environment.getStore().getSource().toJSON());
const fits = () => records().filter(({ __typename }) => __typename === "Fit");

await run({
  "the compiled query fills the store": async () => {
    const query = await load("documentsQuery");
    await fetchQuery(environment, query, { model: "llama-3.1-8b" }).toPromise();
    environment.retain(createOperationDescriptor(getRequest(query), { model: "llama-3.1-8b" }));
    assert.equal(fits().length, 3);
  },
  "pagination goes on from the cursor of the connection": async () => {
    const model = records().find(({ __typename }) => __typename === "Model");
    const page = records().find(({ __typename, endCursor }) => __typename === "PageInfo" && endCursor);
    const query = await load("documentsPaginationQuery");
    await fetchQuery(environment, query, { id: model.__id, count: 4, cursor: page.endCursor }).toPromise();
    assert.equal(fits().length, 7);
  },
  "one object is refetched by its id": async () => {
    const one = fits()[0];
    const found = await fetchQuery(environment, await load("documentsFitQuery"), { id: one.__id }).toPromise();
    assert.ok(found.node);
    assert.equal(fits().find(({ __id }) => __id === one.__id).status, one.status);
  },
});
